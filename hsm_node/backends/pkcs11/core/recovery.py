"""When a device that was lost is looked for again."""

from typing import Final

FIRST_WAIT_S: Final = 0.5
"""A new process takes a tenth of a second: a crash costs hardly more than this."""
LONGEST_WAIT_S: Final = 15.0
"""What a token that is back waits for at most; a device that restarts takes a minute."""
STEADY_S: Final = 60.0
"""A device that worked for so long is new to being lost."""


def next_wait_s(last_wait_s: float, worked_s: float) -> float:
    """Return how long to wait before the next try.

    Args:
        last_wait_s: before the last one; 0: there was none.
        worked_s: how long the device worked after that; 0: it did not.
    """
    if not last_wait_s or worked_s >= STEADY_S:
        return FIRST_WAIT_S
    return min(2 * last_wait_s, LONGEST_WAIT_S)
