"""How many keys a partition may have: those that are there, and those that are on their way to the store.

Each node decides by what it knows, so keys made at the same time through several nodes may go beyond the limit once, by
what each of them has on its way.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from hsm_node.core.key_table import KeyTable
from hsm_node.core.object_shares import RETRY_AFTER_MS
from hsm_node.core.refusal import Refusal
from hsm_wire.statuses import Status


class KeyShares:
    """The share of each partition. Used on the event loop."""

    def __init__(self, table: KeyTable) -> None:
        """Limit nothing yet."""
        self.limits: Mapping[int, int] = {}
        """Partition -> its keys at most; those that are not in it have no limit."""
        self._table = table
        self._on_the_way: Counter[int] = Counter()

    @contextmanager
    def place(self, partition: int) -> Iterator[Callable[[], None]]:
        """Yield what takes a place for one key more, until it is in the table or refused.

        What is yielded raises Refusal where there is no place. A key that was made before needs none.
        """
        taken = 0

        def take() -> None:
            nonlocal taken
            self._check(partition)
            self._on_the_way[partition] += 1
            taken += 1

        try:
            yield take
        finally:
            self._on_the_way[partition] -= taken
            if not self._on_the_way[partition]:
                del self._on_the_way[partition]

    def _check(self, partition: int) -> None:
        limit = self.limits.get(partition)
        if limit is not None and self._table.count(partition) + self._on_the_way[partition] >= limit:
            raise Refusal(
                Status.OVER_QUOTA,
                f"the partition has its {limit} keys; destroy some that are not needed, or order a larger package",
                not_executed=True,
                retry_after_ms=RETRY_AFTER_MS,
            )
