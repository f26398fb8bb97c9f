"""A page that costs milliseconds to make: whoever asks for it in a loop gets the last one again now and then."""

from collections.abc import Callable
from typing import Final

from hsm_daemon import clock
from hsm_daemon.admin import AdminAnswer

SHARE: Final = 0.1  # of the loop's time that making the page may take in the long run
AHEAD_S: Final = 0.2  # of the loop's time that may be taken after a quiet time: several scrapers, and people


class RationedPage:
    """Makes the page anew while that does not take too much of the loop."""

    __slots__ = ("_at", "_last", "_make", "_spent_s")

    def __init__(self, make: Callable[[], AdminAnswer]) -> None:
        """Prepare; `make` is called when the first one asks."""
        self._make = make
        self._last: AdminAnswer | None = None
        self._spent_s = 0.0
        self._at = 0.0

    def __call__(self) -> AdminAnswer:
        """Return the page; one of 4 ms is 40 ms old at most."""
        now = clock.monotonic()
        self._spent_s = max(0.0, self._spent_s - SHARE * (now - self._at))
        self._at = now
        if self._last is None or self._spent_s < AHEAD_S:
            self._last = self._make()
            self._spent_s += clock.monotonic() - now
        return self._last
