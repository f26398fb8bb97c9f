"""How much one identity may ask of the proxy itself.

Requests for nodes pay with their place in a window or a queue. What the proxy answers or does at once (PING, CANCEL,
STATUS, EVENTS) has no such price: a client that sends nothing else would have the loop for itself. So it pays from this
budget, and while that is overdrawn none of the identity's connections that spends from it is read.
"""

from typing import Final

from proxy.core.settings import Limits

REPORT_COST: Final = 20.0
"""A report of all nodes, or of all that happened lately, takes as long as twenty PINGs."""
FRAME_COST: Final = 1.0


class ControlBudget:
    """A bucket that may be overdrawn: what has come is done, then its sender waits."""

    __slots__ = ("_filled_at", "_tokens")

    def __init__(self) -> None:
        self._tokens = 0.0
        self._filled_at: float | None = None

    def spend(self, cost: float, limits: Limits, now: float) -> float:
        """Take so much out; return for how many seconds nothing more may come."""
        if self._filled_at is None:
            self._tokens = float(limits.identity_control_burst)
        else:
            earned = (now - self._filled_at) * limits.identity_control_per_s
            self._tokens = min(float(limits.identity_control_burst), self._tokens + earned)
        self._filled_at = now
        self._tokens -= cost
        return max(0.0, -self._tokens / limits.identity_control_per_s)
