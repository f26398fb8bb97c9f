"""All records in memory: by (partition, id), by label, in the order of ids."""

from bisect import bisect_right, insort

from hsm_node.core.records import Record, key_info
from hsm_node.core.tombstones import Tombstones
from hsm_wire.messages import KeyInfo, encode_body


class Entry:
    """A record as of one revision. It is replaced, never changed."""

    __slots__ = ("_info", "record", "revision")

    def __init__(self, record: Record, revision: int) -> None:
        self.record = record
        self.revision = revision
        self._info: bytes | None = None

    @property
    def encoded_info(self) -> bytes:
        """Return the encoded KeyInfo; made once."""
        if self._info is None:
            self._info = encode_body(key_info(self.record))
        return self._info


class KeyTable:
    """What the node knows of the store. Tombstones stay in it, small: their ids are used up."""

    __slots__ = ("_by_label", "_entries", "_ids", "_tombstones", "live", "scheduled")

    def __init__(self) -> None:
        self._entries: dict[tuple[int, bytes], Entry] = {}
        self._tombstones = Tombstones()
        self._ids: dict[int, list[bytes]] = {}
        self._by_label: dict[tuple[int, str], set[bytes]] = {}
        self.live = 0
        """Keys that are not destroyed."""
        self.scheduled: dict[tuple[int, bytes], int] = {}
        """Place -> seconds since 1970: keys whose destruction has a time."""

    def get(self, partition: int, key_id: bytes) -> Entry | None:
        """Return the entry, a tombstone too, or None."""
        place = (partition, key_id)
        entry = self._entries.get(place)
        if entry is None:
            buried = self._tombstones.get(place)
            return None if buried is None else Entry(*buried)
        return entry

    def apply(self, record: Record, revision: int) -> bool:
        """Take a record of the store; False where the table has a newer one of that key already."""
        place = (record.partition, record.key_id)
        old = self._entries.get(place)
        known = self._tombstones.order(place) if old is None else old.record.order
        if known > record.order:
            return False
        if old is not None and old.record.label == record.label and not record.destroyed:
            self._put(place, record, revision)  # In place: the order of ids and the label stay.
            return True
        if old is not None:
            self._forget(old.record)
        if record.destroyed:
            self._entries.pop(place, None)
            self._tombstones.put(record, revision)
            return True
        self._tombstones.drop(place)
        self._put(place, record, revision)
        self.live += 1
        insort(self._ids.setdefault(record.partition, []), record.key_id)
        self._by_label.setdefault((record.partition, record.label), set()).add(record.key_id)
        return True

    def remove(self, partition: int, key_id: bytes) -> None:
        """Forget a key whose record in the store is not authentic any more."""
        self._tombstones.drop((partition, key_id))
        entry = self._entries.pop((partition, key_id), None)
        if entry is not None:
            self._forget(entry.record)

    def find(self, partition: int, label: str | None, key_type: str | None, after: bytes, limit: int) -> list[KeyInfo]:
        """Return live keys in the order of ids, after that id, at most `limit`."""
        labelled = self._by_label.get((partition, label or ""), ())
        ids = self._ids.get(partition, []) if label is None else sorted(labelled)
        found: list[KeyInfo] = []
        for index in range(bisect_right(ids, after), len(ids)):
            record = self._entries[partition, ids[index]].record
            if key_type is None or record.key_type == key_type:
                found.append(key_info(record))
                if len(found) == limit:
                    break
        return found

    def _put(self, place: tuple[int, bytes], record: Record, revision: int) -> None:
        self._entries[place] = Entry(record, revision)
        if record.destroy_at:
            self.scheduled[place] = record.destroy_at
        else:
            self.scheduled.pop(place, None)

    def _forget(self, record: Record) -> None:
        self.live -= 1
        self.scheduled.pop((record.partition, record.key_id), None)
        ids = self._ids[record.partition]
        del ids[bisect_right(ids, record.key_id) - 1]
        place = (record.partition, record.label)
        self._by_label[place].discard(record.key_id)
        if not self._by_label[place]:
            del self._by_label[place]
