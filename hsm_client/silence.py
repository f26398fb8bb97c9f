"""Whether the proxy still talks to us while requests wait. Pure: times are arguments, in seconds."""

from enum import Enum, auto
from typing import Final

SILENCE_S: Final = 0.5
"""With requests in flight and nothing heard for this long a PING goes out."""
PONG_S: Final = 0.6
"""Nothing heard for this long after the PING: the connection is lost. With a new connection to another proxy, a request
on a site that is cut off has its answer within 1.5 s; a proxy that stood still for so long costs a new connection."""
STALL_S: Final = 0.5
"""A look that is late by more than this was held up by ourselves: that is no silence of the proxy."""


class Verdict(Enum):
    """What to do about the silence."""

    WAIT = auto()
    PING = auto()
    LOST = auto()


class Silence:
    """See the module."""

    __slots__ = ("_heard_at", "_pinged_at")

    def __init__(self) -> None:
        self._heard_at = 0.0
        self._pinged_at: float | None = None

    def broken(self, now: float) -> None:
        """Something was heard, or nothing was to be heard before now."""
        self._heard_at = now
        self._pinged_at = None

    def look(self, now: float, late_s: float) -> Verdict:
        """Return what to do; this look is late by `late_s`. Whoever is told to PING does so."""
        if late_s > STALL_S:
            # What the proxy said while we stood still may not have been read yet.
            self.broken(now)
        if self._pinged_at is None:
            if now - self._heard_at > SILENCE_S:
                self._pinged_at = now
                return Verdict.PING
            return Verdict.WAIT
        return Verdict.LOST if now - self._pinged_at > PONG_S else Verdict.WAIT
