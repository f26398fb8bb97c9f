"""How much of the nodes' memory a partition's objects may take: what they have, and what is on its way to the store.

Each node decides by what it knows, so requests at the same time through several nodes may go beyond the limit once, by
what each of them has on its way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hsm_node.core.object_records import ObjectRecord
from hsm_node.core.object_table import RECORD_BYTES, ObjectTable, size_of
from hsm_node.core.refusal import Refusal
from hsm_wire.statuses import Status

RETRY_AFTER_MS: Final = 60_000
"""Longer than a request lasts: nothing makes room but the partition's clients, so no library should wait for it."""


class ObjectShares:
    """The share of each partition. Used on the event loop."""

    def __init__(self, table: ObjectTable, limit: int) -> None:
        """Know what is there; `limit`: bytes for the objects of one partition."""
        self._table = table
        self._limit = limit
        self._on_the_way: dict[int, int] = {}

    @contextmanager
    def on_the_way(self, partition: int, size: int) -> Iterator[None]:
        """Count that many bytes until they are in the table, or refused."""
        self._add(partition, size)
        try:
            yield
        finally:
            self._add(partition, -size)

    def check(self, record: ObjectRecord, before: ObjectRecord | None, size: int) -> None:
        """Refuse what would take more than the share.

        Args:
            record: that is to be stored.
            before: what it replaces; None: it is new.
            size: that is counted for it on its way.
        """
        growth = size_of(record) - (0 if before is None else size_of(before))
        others = self._table.bytes_of(record.partition) + self._on_the_way.get(record.partition, 0) - size
        if growth > 0 and others + growth > self._limit:
            raise Refusal(
                Status.OVER_QUOTA,
                f"the objects of a partition take at most {self._limit} bytes, {RECORD_BYTES} of them for each object "
                "beside its value; destroy some that are not needed",
                retry_after_ms=RETRY_AFTER_MS,
            )

    def _add(self, partition: int, size: int) -> None:
        left = self._on_the_way.get(partition, 0) + size
        if left:
            self._on_the_way[partition] = left
        else:
            self._on_the_way.pop(partition, None)
