"""How fast a key decrypts with CBC padding: an oracle that answers slowly is no use.

Whoever sees whether padding was right reads a plaintext with 128 guesses a byte (Vaudenay, "Security flaws induced by
CBC padding", EUROCRYPT 2002). So each decryption costs a token before anything is looked at, whatever comes of it: what
fails costs as much as what succeeds, and both are refused alike when there is none.
"""

from hsm_daemon.pace import TokenBucket
from hsm_node.core.refusal import Refusal
from hsm_node.core.tombstones import Place
from hsm_wire.statuses import Status


class PaddingRate:
    """A token bucket for each key at work. Buckets that are full again are forgotten: a new one is as good."""

    __slots__ = ("_buckets", "_burst", "_full_s", "_per_s", "_swept_at", "refused")

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._full_s = burst / per_s
        self._buckets: dict[Place, TokenBucket] = {}
        self._swept_at = 0.0
        self.refused = 0
        """Decryptions refused."""

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, place: Place, now: float) -> None:
        """Take a token.

        Raises:
            Refusal: there is none.
        """
        bucket = self._buckets.get(place)
        if bucket is None:
            bucket = self._buckets[place] = TokenBucket(self._per_s, self._burst)
        if not bucket.take(now):
            self.refused += 1
            raise Refusal(
                Status.OVERLOADED,
                "the key decrypts CBC padding at a limited rate, which was reached; wait, or use AES-GCM",
                not_executed=True,
                retry_after_ms=int(1000 * bucket.wait_s(now)) + 1,
            )

    def sweep(self, now: float) -> None:
        """Forget what is full again, now and then."""
        if now - self._swept_at >= self._full_s:
            self._swept_at = now
            self._buckets = {
                place: bucket for place, bucket in self._buckets.items() if bucket.wait_s(now, self._burst) > 0
            }
