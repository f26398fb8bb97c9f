"""A page that costs milliseconds to make: whoever asks for it in a loop gets the last one again."""

from collections.abc import Callable
from typing import Final

from hsm_daemon import clock
from hsm_daemon.admin import AdminAnswer
from hsm_daemon.pace import TokenBucket

PAGES_PER_S: Final = (
    10.0  # so that a page of 4 ms takes 4 % of the loop at most, and is a tenth of a second old at most
)
BURST: Final = 20  # after a quiet time: several scrapers, and people


class RationedPage:
    """Makes the page anew while it is asked for now and then."""

    __slots__ = ("_fresh", "_last", "_make")

    def __init__(self, make: Callable[[], AdminAnswer]) -> None:
        """Prepare; `make` is called when the first one asks."""
        self._make = make
        self._fresh = TokenBucket(PAGES_PER_S, BURST)
        self._last: AdminAnswer | None = None

    def __call__(self) -> AdminAnswer:
        """Return the page."""
        if self._last is None or self._fresh.take(clock.monotonic()):
            self._last = self._make()
        return self._last
