"""Connections: bytes to requests, answers to bytes."""
