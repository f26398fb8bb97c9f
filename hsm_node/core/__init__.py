"""Decisions without I/O, clock or chance: records, rights, key table, queues."""
