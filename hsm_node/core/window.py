"""How many requests the node wants in flight: sessions x (1 + 5 ms / mean service time), shared by its proxies."""

from typing import Final

QUEUEING_BUDGET_S: Final = 0.005
"""Time that a request may wait at the node so that sessions never run dry between a proxy's writes."""
MAX_WINDOW: Final = 256
_WEIGHT_OF_NEWEST: Final = 0.05
"""Of the moving mean: about the last 20 measurements count."""
FEWEST_MEASUREMENTS: Final = 20
"""Before so many the window is whole: the first request pays for what is loaded at its first use, and a window that
one of them made small would bind, and bend the even draw, until the next PONG."""


class Window:
    """A moving mean of service times, and what follows from it."""

    __slots__ = ("_measurements", "mean_service_s", "sessions")

    def __init__(self, sessions: int) -> None:
        self.sessions = sessions
        self.mean_service_s = 0.0
        self._measurements = 0

    def served(self, seconds: float) -> None:
        """Note how long one request took to serve, without its wait."""
        self._measurements += 1
        if self.mean_service_s:
            self.mean_service_s += (seconds - self.mean_service_s) * _WEIGHT_OF_NEWEST
        else:
            self.mean_service_s = seconds

    def advertised(self, proxies: int) -> int:
        """Return the window of one of so many connected proxies."""
        lowest = 2 * self.sessions
        if self._measurements < FEWEST_MEASUREMENTS or self.mean_service_s <= 0.0:
            whole = MAX_WINDOW
        else:
            whole = int(self.sessions * (1.0 + QUEUEING_BUDGET_S / self.mean_service_s))
        return max(1, min(MAX_WINDOW, max(lowest, whole)) // max(1, proxies))
