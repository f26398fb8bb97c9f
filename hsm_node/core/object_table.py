"""All objects in memory, and how much of it each partition has."""

from itertools import islice
from typing import Final

from hsm_node.core.object_records import ObjectRecord
from hsm_node.core.record_table import RecordTable
from hsm_node.core.tombstones import Buried, Place
from hsm_wire.objects import ObjectInfo

RECORD_BYTES: Final = 1024
"""Counted for each object beside its value: what its record and its places in the table take, and a label of 128
characters."""


class ObjectTable(RecordTable[ObjectRecord]):
    """What the node knows of objects."""

    __slots__ = ("_bytes",)

    def __init__(self) -> None:
        super().__init__(_tombstone)
        self._bytes: dict[int, int] = {}

    def bytes_of(self, partition: int) -> int:
        """Return what the objects of a partition take."""
        return self._bytes.get(partition, 0)

    @property
    def total_bytes(self) -> int:
        """What all objects take."""
        return sum(self._bytes.values())

    def find(self, partition: int, label: str | None, kind: str | None, after: bytes, limit: int) -> list[ObjectInfo]:
        """Return objects that are not destroyed in the order of ids, after that id, at most `limit`."""
        records = self._after(partition, label, after)
        found = (record for record in records if kind is None or record.kind == kind)
        return [record.info for record in islice(found, limit)]

    def _put(self, place: Place, record: ObjectRecord, revision: int) -> None:
        old = self._entries.get(place)
        self._count(place, size_of(record) - (0 if old is None else size_of(old.record)))
        super()._put(place, record, revision)

    def _forget(self, place: Place, record: ObjectRecord) -> None:
        super()._forget(place, record)
        self._count(place, -size_of(record))

    def _count(self, place: Place, size: int) -> None:
        partition = place[0]
        self._bytes[partition] = self.bytes_of(partition) + size


def size_of(record: ObjectRecord) -> int:
    """Return what an object takes of its partition's share of a node's memory."""
    return 0 if record.destroyed else RECORD_BYTES + len(record.value)


def _tombstone(place: Place, buried: Buried) -> ObjectRecord:
    """Return what is left of a destroyed object's record."""
    partition, object_id = place
    return ObjectRecord(
        cluster_id=b"",
        partition=partition,
        object_id=object_id,
        version=buried.version,
        order=buried.order,
        epoch=0,
        kind="",
        label="",
        value=b"",
        destroyed=True,
        created=0,
        creation_digest=buried.creation_digest,
        changes=buried.changes,
    )
