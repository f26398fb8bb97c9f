"""How long the full-length tests run, and on how good a machine.

REDOUBT_SCALE=0.1 makes every duration and repetition a tenth (but not the bounds). REDOUBT_SLACK=2 doubles the bounds
of time, for a machine that does other work meanwhile; without it they are the documented ones.
"""

import os

SCALE = float(os.environ.get("REDOUBT_SCALE", "1"))
SLACK = float(os.environ.get("REDOUBT_SLACK", "1"))
RATE = float(os.environ.get("REDOUBT_RATE", "1000"))
"""Requests a second of the load."""


def seconds(full: float, least: float = 2.0) -> float:
    """Return a duration of the table, scaled."""
    return max(full * SCALE, min(full, least))


def times(full: int) -> int:
    """Return a number of repetitions, scaled."""
    return max(1, round(full * SCALE))


def bound_ms(documented_ms: float) -> float:
    """Return the bound for an assertion."""
    return documented_ms * SLACK
