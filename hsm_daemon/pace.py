"""How fast, and how many at once. Pure: time is an argument."""

from typing import Final, NamedTuple

ENOUGH: Final = 1.0 - 1e-6  # of a token: rounding must not make a caller that waited for exactly `wait_s` wait again


class Pace(NamedTuple):
    """How fast connections are accepted; those above it wait in the kernel's backlog."""

    handshakes_per_s: float  # while there are few; one TLS 1.3 handshake costs about 1.2 ms of CPU
    burst: int  # at once after a quiet time
    at_once: int  # handshakes going on at the same time, so that silent peers hold a bounded amount of memory
    sustained_per_s: float | None = None  # after `crowd` of them; None: as before
    crowd: int = 1  # served at `handshakes_per_s` after a quiet time

    def tokens(self) -> "TokenBucket | TwoRates":
        """Return what keeps this pace."""
        peak = TokenBucket(self.handshakes_per_s, self.burst)
        if self.sustained_per_s is None or self.sustained_per_s >= self.handshakes_per_s:
            return peak
        return TwoRates(peak, TokenBucket(self.sustained_per_s, max(self.crowd, self.burst)))


class TokenBucket:
    """`per_s` tokens a second, of which `burst` are kept for later; it begins full."""

    def __init__(self, per_s: float, burst: int) -> None:
        if per_s <= 0 or burst < 1:
            raise ValueError("a token bucket needs a rate above 0 and room for 1 token")
        self._per_s = per_s
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Take a token; False when there is none."""
        if not self.has_token(now):
            return False
        self._tokens = max(0.0, self._tokens - 1.0)
        return True

    def has_token(self, now: float) -> bool:
        """Say whether `take` would succeed."""
        self._fill(now)
        return self._tokens >= ENOUGH

    def owe(self, tokens: int, now: float) -> None:
        """Take so many tokens, whether they are there or not: whoever comes next waits for those that are missing."""
        self._fill(now)
        self._tokens -= tokens

    def wait_s(self, now: float, tokens: int = 1) -> float:
        """Return the seconds until there are `tokens` (at most `burst`) of them."""
        self._fill(now)
        missing = min(float(tokens), self._burst) - self._tokens
        return max(0.0, missing / self._per_s)

    def _fill(self, now: float) -> None:
        if self._at is not None and now > self._at:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s)
        self._at = now if self._at is None else max(self._at, now)


class TwoRates:
    """Two buckets, of which each token needs both: a peak rate for a crowd of known size, a lower one for a flood.

    The idea is that of RFC 2698 (a two-rate marker): what comes at more than the peak waits, and so does what comes at
    more than the sustained rate once the crowd's allowance is used up.
    """

    def __init__(self, peak: TokenBucket, sustained: TokenBucket) -> None:
        self._both = (peak, sustained)

    def take(self, now: float) -> bool:
        """Take a token of both; False, and nothing taken, when either has none."""
        return self.has_token(now) and all(bucket.take(now) for bucket in self._both)

    def has_token(self, now: float) -> bool:
        """Say whether `take` would succeed."""
        return all(bucket.has_token(now) for bucket in self._both)

    def wait_s(self, now: float, tokens: int = 1) -> float:
        """Return the seconds until there are `tokens` of both."""
        return max(bucket.wait_s(now, tokens) for bucket in self._both)
