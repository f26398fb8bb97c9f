"""All records of one kind in memory: by (partition, id), by label, in the order of ids."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

import msgspec

from hsm_node.core.ordered_ids import OrderedIds
from hsm_node.core.tombstones import Buried, Place, Tombstones
from hsm_wire.messages import encode_body


class TableRecord(Protocol):
    """What a table asks of a record."""

    @property
    def place(self) -> Place:
        """Partition and id."""

    @property
    def label(self) -> str:
        """Of its owner; not unique."""

    @property
    def version(self) -> int:
        """Counts the changes that its owner sees, from 1."""

    @property
    def order(self) -> int:
        """How often it was written."""

    @property
    def destroyed(self) -> bool:
        """Whether it is a tombstone."""

    @property
    def creation_digest(self) -> bytes:
        """Keyed digest of the request that made it."""

    @property
    def changes(self) -> tuple[bytes, ...]:
        """Marks of the last changes, the newest last."""

    @property
    def info(self) -> msgspec.Struct:
        """What its owner may know of it."""


R = TypeVar("R", bound=TableRecord)


class Entry(Generic[R]):
    """A record as of one revision. It is replaced, never changed."""

    __slots__ = ("_info", "record", "revision")

    def __init__(self, record: R, revision: int) -> None:
        self.record = record
        self.revision = revision
        self._info: bytes | None = None

    @property
    def encoded_info(self) -> bytes:
        """Return the body that tells its owner of it; made once."""
        if self._info is None:
            self._info = encode_body(self.record.info)
        return self._info


class RecordTable(Generic[R]):
    """What the node knows of the store. Tombstones stay in it, small: their ids are used up."""

    __slots__ = ("_by_label", "_entries", "_ids", "_revive", "_tombstones", "live")

    def __init__(self, revive: Callable[[Place, Buried], R]) -> None:
        """Know nothing yet; `revive` makes a record of what is left of one."""
        self._revive = revive
        self._entries: dict[Place, Entry[R]] = {}
        self._tombstones = Tombstones()
        self._ids: dict[int, OrderedIds] = {}
        self._by_label: dict[tuple[int, str], set[bytes]] = {}
        self.live = 0
        """Records that are not destroyed."""

    def get(self, partition: int, record_id: bytes) -> Entry[R] | None:
        """Return the entry, a tombstone too, or None."""
        place = (partition, record_id)
        entry = self._entries.get(place)
        if entry is None:
            buried = self._tombstones.get(place)
            return None if buried is None else Entry(self._revive(place, buried), buried.revision)
        return entry

    def apply(self, record: R, revision: int) -> bool:
        """Take a record of the store; False where the table has a newer one of that place already."""
        place = record.place
        old = self._entries.get(place)
        known = self._tombstones.order(place) if old is None else old.record.order
        if known > record.order:
            return False
        if old is not None and old.record.label == record.label and not record.destroyed:
            self._put(place, record, revision)  # In place: the order of ids and the label stay.
            return True
        if old is not None:
            self._forget(place, old.record)
        if record.destroyed:
            self._tombstones.put(place, _buried(record, revision))
            return True
        self._tombstones.drop(place)
        self._put(place, record, revision)
        self.live += 1
        partition, record_id = place
        ids = self._ids.get(partition)
        if ids is None:
            ids = self._ids[partition] = OrderedIds()
        ids.add(record_id)
        self._by_label.setdefault((partition, record.label), set()).add(record_id)
        return True

    @property
    def living(self) -> list[R]:
        """Records that are not destroyed, in no order."""
        return [entry.record for entry in self._entries.values()]

    def count(self, partition: int) -> int:
        """Return how many records of a partition are not destroyed."""
        ids = self._ids.get(partition)
        return 0 if ids is None else len(ids)

    @property
    def counts(self) -> dict[int, int]:
        """The same of every partition that has some."""
        return {partition: len(ids) for partition, ids in self._ids.items() if ids}

    def settle(self) -> None:
        """Put ids in order now, not when somebody asks for them: after many records came at once."""
        for ids in self._ids.values():
            ids.settled()

    def remove(self, partition: int, record_id: bytes) -> None:
        """Forget a record whose row in the store is not authentic any more."""
        place = (partition, record_id)
        self._tombstones.drop(place)
        entry = self._entries.get(place)
        if entry is not None:
            self._forget(place, entry.record)

    def _after(self, partition: int, label: str | None, after: bytes) -> Iterator[R]:
        """Return the live records of a partition, or those with that label, in the order of ids, after that id."""
        ids = self._in_order(partition) if label is None else sorted(self._by_label.get((partition, label), ()))
        for index in range(bisect_right(ids, after), len(ids)):
            yield self._entries[partition, ids[index]].record

    def _in_order(self, partition: int) -> list[bytes]:
        ids = self._ids.get(partition)
        return [] if ids is None else ids.settled()

    def _put(self, place: Place, record: R, revision: int) -> None:
        """Take a record into the entries, in place of an older one if there is one."""
        self._entries[place] = Entry(record, revision)

    def _forget(self, place: Place, record: R) -> None:
        """Take the record that lives there out of everything."""
        del self._entries[place]
        self.live -= 1
        partition, record_id = place
        self._ids[partition].remove(record_id)
        labelled = self._by_label[partition, record.label]
        labelled.discard(record_id)
        if not labelled:
            del self._by_label[partition, record.label]


def _buried(record: TableRecord, revision: int) -> Buried:
    mark = record.changes[-1] if record.changes else b""
    return Buried(record.version, record.order, revision, record.creation_digest, mark)
