"""Has the event loop stood still? Pure: time is an argument.

Theory. A process that was stopped (SIGSTOP, a paused virtual machine, a very long callback) goes on as if nothing had
been, with what peers sent before they gave it up. A timer calls `beat` every `beat_every_s`. Whoever is about to act
on what was read asks `stalled_for`: after a pause an event loop hands out what can be read before it runs its timers,
so the answer is there before the next beat. Monotonic time goes on under SIGSTOP, but on Linux not while the whole
machine is suspended: such a pause is not seen here.
"""

from typing import Final

BEATS_A_LIMIT: Final = 5  # so that a beat that is late by a turn or two is no stall


class StallGuard:
    """Tells a loop that beats from one that stood still for longer than `limit_s`."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.beat_every_s = limit_s / BEATS_A_LIMIT
        self._last: float | None = None

    def beat(self, now: float) -> float:
        """Note that the loop turns; return for how long it had stalled (0.0: it had not)."""
        stalled = self.stalled_for(now)
        self._last = now
        return stalled

    def stalled_for(self, now: float) -> float:
        """Return the seconds since the last beat if these are more than the limit, else 0.0; a beat ends the stall."""
        if self._last is None:
            return 0.0  # Nothing has been read before the first beat.
        pause = now - self._last
        return pause if pause > self.limit_s else 0.0
