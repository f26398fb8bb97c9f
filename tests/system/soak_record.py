"""What a soak saw: counts, times, violations, and what became of each key."""

import math
import time
from collections import Counter
from dataclasses import dataclass, field

MAX_SHOWN = 20
"""Violations that the report shows in full; all are counted."""
BUCKETS_PER_DOUBLING = 8


@dataclass
class Times:
    """A histogram of seconds, 9 % wide a bucket: an hour's requests would not fit in a list."""

    buckets: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0

    def add(self, taken_s: float) -> None:
        """Count one."""
        self.buckets[round(math.log2(max(taken_s, 1e-6)) * BUCKETS_PER_DOUBLING)] += 1
        self.slowest_s = max(self.slowest_s, taken_s)

    def percentile_s(self, share: float) -> float:
        """Return that share's time."""
        left = share * self.buckets.total()
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                return float(2 ** (bucket / BUCKETS_PER_DOUBLING))
        return self.slowest_s


class Record:
    """Shared by all clients of the soak; one event loop writes it."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.times: dict[str, Times] = {}
        self.violations: list[str] = []
        self.violation_count = 0
        self.alive: set[str] = set()
        """Keys that were made, as the cluster said, and not destroyed."""
        self.destroyed: set[str] = set()
        self.doubtful: set[str] = set()
        """Keys whose change failed: nobody knows what became of it."""

    @property
    def requests(self) -> int:
        """Calls that ended."""
        return sum(times.buckets.total() for times in self.times.values())

    def took(self, what: str, taken_s: float) -> None:
        """Count a call."""
        self.times.setdefault(what, Times()).add(taken_s)

    def violation(self, text: str) -> None:
        """Note what must not happen."""
        self.violation_count += 1
        if len(self.violations) < MAX_SHOWN:
            self.violations.append(f"{time.monotonic() - self.began:8.1f} s  {text}")
            print(f"VIOLATION {self.violations[-1]}", flush=True)
