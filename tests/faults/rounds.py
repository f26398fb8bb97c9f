"""When makers begin: in rounds, all who are free at once, at a mean rate."""

from typing import Final

BEHIND_S: Final = 15.0
"""What was missed for longer, while nothing could be made, is not made up for."""


class Rounds:
    """The moments of the rounds. Pure: time is an argument."""

    def __init__(self, rate: float, now: float) -> None:
        """Begin with a round at once; `rate`: turns a second."""
        self._rate = rate
        self._next = now

    def wait_s(self, now: float) -> float:
        """Return how long it is until the next round."""
        return max(0.0, self._next - now)

    def begin(self, makers: int, now: float) -> None:
        """Begin one with so many: the next one comes when their turns are over at the mean rate."""
        self._next = max(self._next, now - BEHIND_S) + makers / self._rate
