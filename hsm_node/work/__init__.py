"""Bounded thread pools for work that is too dear for the event loop."""
