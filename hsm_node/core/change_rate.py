"""How much the clients of a partition may write to the store: what was written stays there until it is compacted.

Theory. A distributed store keeps every earlier state of a row until `auto-compaction-retention` is over, and once its
quota is used up it takes no change from anybody. So what one partition can write in that time has a bound at each node:
`burst` at once, then `per_s`. What is counted is what takes room, one for each begun KiB of a row.

Nothing is refused that is under way. The balance is looked at before a row is written, and the row is paid for when it
is there: what was under way beside it may have taken more than there was. The partition owes that, and waits longer.

What takes a right away is paid for and never refused (a key or an object is destroyed, a key is disabled), so that
whoever floods a partition does not keep others from that. It can be done once for each writing that was looked at.
"""

from collections import Counter
from typing import Final

from hsm_daemon.pace import TokenBucket
from hsm_node.core.refusal import Refusal
from hsm_wire.statuses import Status

ROW_BYTES: Final = 1024
"""That one of the rate stands for: an EC key with its attributes. In the store's file such a row takes about 1.8 KB."""


class ChangeRate:
    """A token bucket for each partition: there are as many as the cluster has. Used on the event loop."""

    def __init__(self, per_s: float, burst: int) -> None:
        """Have nothing written yet."""
        self._per_s = per_s
        self._burst = burst
        self._buckets: dict[int, TokenBucket] = {}
        self.paid: Counter[int] = Counter()
        """By partition, in begun KiB."""
        self.refused: Counter[int] = Counter()
        """By partition."""

    def check(self, partition: int, now: float) -> None:
        """Look whether the partition may write.

        Raises:
            Refusal: it has to wait.
        """
        bucket = self._bucket(partition)
        if not bucket.has_token(now):
            self.refused[partition] += 1
            raise Refusal(
                Status.OVER_QUOTA,
                "the partition's changes come faster than a node takes them (partition_changes_per_s); wait, or ask "
                "the operator to raise that",
                not_executed=True,
                retry_after_ms=int(1000 * bucket.wait_s(now)) + 1,
            )

    def pay(self, partition: int, row_bytes: int, now: float) -> None:
        """Count a row that was written."""
        cost = max(1, -(-row_bytes // ROW_BYTES))
        self.paid[partition] += cost
        self._bucket(partition).owe(cost, now)

    def _bucket(self, partition: int) -> TokenBucket:
        bucket = self._buckets.get(partition)
        if bucket is None:
            bucket = self._buckets[partition] = TokenBucket(self._per_s, self._burst)
        return bucket
