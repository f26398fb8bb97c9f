"""Latencies in log-linear buckets: every value is known to 1 part in 128, whatever its size, in constant memory."""

from typing import Final

SUB_BUCKET_BITS: Final = 7
_SUB_BUCKETS: Final = 1 << SUB_BUCKET_BITS
MAX_VALUE_US: Final = (1 << 32) - 1
"""Over an hour: longer than any request may take. Larger values count as this."""


class Histogram:
    """Counts values in whole microseconds."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.max_us = 0

    def record(self, value_us: int) -> None:
        """Count one value."""
        value_us = min(max(value_us, 0), MAX_VALUE_US)
        index = _index(value_us)
        self._counts[index] = self._counts.get(index, 0) + 1
        self.count += 1
        self.max_us = max(self.max_us, value_us)

    def percentile_us(self, percent: float) -> int:
        """Return a value that `percent` of all values do not exceed (by more than the precision); 0 when empty."""
        if not self.count:
            return 0
        # Percentages are given with at most three decimals; whole numbers keep 99.9 % of 1000 exactly 999.
        wanted = max(1, -(-round(percent * 1000) * self.count // 100_000))
        seen = 0
        for index in sorted(self._counts):
            seen += self._counts[index]
            if seen >= wanted:
                return min(_highest(index), self.max_us)
        return self.max_us


def _index(value: int) -> int:
    shift = max(value.bit_length() - SUB_BUCKET_BITS - 1, 0)
    return (shift << (SUB_BUCKET_BITS + 1)) + (value >> shift)


def _highest(index: int) -> int:
    shift, sub = index >> (SUB_BUCKET_BITS + 1), index & (2 * _SUB_BUCKETS - 1)
    return ((sub + 1) << shift) - 1
