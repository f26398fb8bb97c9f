"""How long tests wait for what has no bound of its own: by a clock that is slow while processes wait for a processor.

Why. On a machine that does more urgent work, a program of ours that takes 0.6 s of processor time to start was seen to
wait 19.5 s for a processor in the first 20 s of its life (/proc/PID/schedstat). It did not hang, and nothing was to be
found in its log. The kernel counts the time in which any process waits so (pressure stall information); where it does
not, time is what the clock says.
"""

import time
from pathlib import Path

PRESSURE = Path("/proc/pressure/cpu")
STARVED_SHARE = 0.1
"""What such time counts: nobody waits for longer than ten times the deadline."""


class Patience:
    """A deadline that begins now."""

    def __init__(self, seconds: float, pressure: Path = PRESSURE, *, starved_share: float = STARVED_SHARE) -> None:
        self._seconds = seconds
        self._pressure = pressure
        self._starved_share = starved_share
        self._begun = time.monotonic()
        self._starved_before_s = self._starved_s()

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        passed_s = time.monotonic() - self._begun
        if passed_s <= self._seconds:
            return False
        starved_s = min(passed_s, self._starved_s() - self._starved_before_s)
        return passed_s - (1.0 - self._starved_share) * starved_s > self._seconds

    def _starved_s(self) -> float:
        """Return for how long since the machine's start some process that could have run had no processor."""
        try:
            [line] = [line for line in self._pressure.read_text().splitlines() if line.startswith("some ")]
        except (OSError, ValueError):
            return 0.0
        return int(line.rpartition("total=")[2]) / 1e6
