"""All key records in memory."""

from itertools import islice
from typing import Final, TypeAlias

from hsm_node.core import record_table
from hsm_node.core.record_table import RecordTable
from hsm_node.core.records import Record, key_info
from hsm_node.core.tombstones import Buried, Place
from hsm_wire.messages import KeyInfo, Policy

Entry: TypeAlias = record_table.Entry[Record]
"""A key's record as of one revision."""

_NOTHING: Final = Policy()


class KeyTable(RecordTable[Record]):
    """What the node knows of keys."""

    __slots__ = ("scheduled", "types")

    def __init__(self) -> None:
        super().__init__(_tombstone)
        self.scheduled: dict[Place, int] = {}
        """Place -> seconds since 1970: keys whose destruction has a time."""
        self.types: dict[str, int] = {}
        """Type -> how many keys of it there are that are to work on every node."""

    def find(self, partition: int, label: str | None, key_type: str | None, after: bytes, limit: int) -> list[KeyInfo]:
        """Return live keys in the order of ids, after that id, at most `limit`."""
        records = self._after(partition, label, after)
        found = (record for record in records if key_type is None or record.key_type == key_type)
        return [key_info(record) for record in islice(found, limit)]

    def _put(self, place: Place, record: Record, revision: int) -> None:
        if place not in self._entries and not record.device_object:
            self.types[record.key_type] = self.types.get(record.key_type, 0) + 1
        super()._put(place, record, revision)
        if record.destroy_at:
            self.scheduled[place] = record.destroy_at
        else:
            self.scheduled.pop(place, None)

    def _forget(self, place: Place, record: Record) -> None:
        super()._forget(place, record)
        if record.device_object:
            return
        left = self.types[record.key_type] = self.types[record.key_type] - 1
        if not left:
            del self.types[record.key_type]
        self.scheduled.pop(place, None)


def _tombstone(place: Place, buried: Buried) -> Record:
    """Return what is left of a destroyed key's record."""
    partition, key_id = place
    return Record(
        cluster_id=b"",
        partition=partition,
        key_id=key_id,
        version=buried.version,
        epoch=0,
        master_key_version=0,
        key_type="",
        true_length=0,
        label="",
        usage=0,
        enabled=False,
        destroyed=True,
        created=0,
        origin="",
        public_key=b"",
        policy=_NOTHING,
        creation_digest=buried.creation_digest,
        changes=buried.changes,
        wrapped=b"",
        sequence=buried.order,
    )
