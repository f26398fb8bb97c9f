"""How many requests the node wants in flight: sessions x (1 + 5 ms / mean service time), shared by its proxies.

Theory. A request passes two stations: the event loop, of which there is one, and a session where the operation is a
dear one. The formula holds for either, and the smaller number is the window: beyond it requests do not become work,
they lie in a socket, where nobody can be fair to them. Both numbers are node.toml's (`window_wait_s`,
`window_requests`).
"""

from typing import Final

from hsm_node.core.limits import DEFAULTS, Limits

_WEIGHT_OF_NEWEST: Final = 0.05
"""Of the moving mean: about the last 20 measurements count."""
_LOOP_WEIGHT: Final = 0.2
"""The same for the loop, whose measurements are means already: about the last second counts."""
_FEWEST_TURNED: Final = 20
"""Requests between two looks at the loop's time below which it says more of checks and timers than of requests."""
FEWEST_MEASUREMENTS: Final = 20
"""Before so many the window is whole: the first request pays for what is loaded at its first use, and a window that
one of them made small would bind, and bend the even draw, until the next PONG."""


class Window:
    """A moving mean of service times, and what follows from it."""

    __slots__ = ("_limits", "_loop_at_s", "_measurements", "_turned_at", "mean_loop_s", "mean_service_s", "sessions")

    def __init__(self, sessions: int, limits: Limits = DEFAULTS) -> None:
        self.sessions = sessions
        self._limits = limits
        self.mean_service_s = 0.0
        self.mean_loop_s = 0.0
        """Processor time that the loop takes for a request; 0 = not known."""
        self._measurements = 0
        self._loop_at_s = 0.0
        self._turned_at = 0

    def served(self, seconds: float) -> None:
        """Note how long one request took to serve, without its wait."""
        self._measurements += 1
        if self.mean_service_s:
            self.mean_service_s += (seconds - self.mean_service_s) * _WEIGHT_OF_NEWEST
        else:
            self.mean_service_s = seconds

    def turned(self, loop_s: float, requests: int) -> None:
        """Note the processor time of the loop's thread and the requests answered, both since the start."""
        passed_s, answered = loop_s - self._loop_at_s, requests - self._turned_at
        self._loop_at_s, self._turned_at = loop_s, requests
        if answered >= _FEWEST_TURNED:
            newest = passed_s / answered
            self.mean_loop_s = (
                newest if not self.mean_loop_s else (self.mean_loop_s + (newest - self.mean_loop_s) * _LOOP_WEIGHT)
            )

    def advertised(self, proxies: int) -> int:
        """Return the window of one of so many connected proxies."""
        most, wait_s = self._limits.window_requests, self._limits.window_wait_s
        whole = float(most)
        if self._measurements >= FEWEST_MEASUREMENTS and self.mean_service_s > 0.0:
            whole = min(whole, self.sessions * (1.0 + wait_s / self.mean_service_s))
        if self.mean_loop_s > 0.0:
            whole = min(whole, 1.0 + wait_s / self.mean_loop_s)
        return max(1, min(most, max(2 * self.sessions, int(whole))) // max(1, proxies))
