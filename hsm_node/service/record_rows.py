"""Rows of what belongs to a partition: keys and objects. Each has an id there, and a table of records in memory."""

from collections.abc import Callable, Collection
from typing import Generic, TypeVar

from hsm_node.backends.base import Backend
from hsm_node.core.envelopes import Unsealed
from hsm_node.core.key_table import KeyTable
from hsm_node.core.keyring import Keyring
from hsm_node.core.object_records import OBJECT_FORMAT, ObjectRecord, open_object, unsealed_object
from hsm_node.core.object_table import ObjectTable
from hsm_node.core.record_table import Entry, RecordTable, TableRecord
from hsm_node.core.records import PREFIXES, Record, open_record, unsealed_record
from hsm_node.core.tombstones import Place
from hsm_node.store.base import Row

R = TypeVar("R", bound=TableRecord)


class RecordRows(Generic[R]):
    """A `RowKind`: its records live in a table, by partition and id."""

    def __init__(
        self,
        noun: str,
        formats: Collection[int],
        table: RecordTable[R],
        name: Callable[[int, bytes], bytes],
        open_row: Callable[[bytes, bytes], R],
        unsealed: Callable[[R], Unsealed],
        gone: Callable[[int, bytes], None] = lambda _partition, _record_id: None,
    ) -> None:
        """Describe the kind.

        Args:
            noun: what such a row is about.
            formats: numbers of its formats.
            table: where its records live.
            name: makes the store's name of a partition and an id.
            open_row: makes the record of a row's data and name, or raises RecordError.
            unsealed: makes what to seal of a record, under the master key in use.
            gone: told of what is destroyed or must not be used.
        """
        self.noun = noun
        self.formats = formats
        self.table = table
        self.name = name
        self.unsealed = unsealed
        self._open = open_row
        self._gone = gone
        self._places: dict[bytes, Place] = {}
        """Name -> place of what lives: where a row must not be used, nothing but its name is known."""

    def open(self, row: Row) -> R:
        """Return the record of an authentic row."""
        return self._open(row.data, row.name)

    def known(self, record: R) -> Entry[R] | None:
        """Return the entry of that place."""
        return self.table.get(*record.place)

    def take(self, record: R, row: Row) -> Entry[R]:
        """Put the newest record into the table."""
        if record.destroyed:  # Of its place nothing more than the tombstone is kept: there are more of them every day.
            self._places.pop(row.name, None)
            self._gone(*record.place)
        else:
            self._places[row.name] = record.place
        self.table.apply(record, row.revision)
        entry = self.table.get(*record.place)
        assert entry is not None  # this record's, or a newer one's
        return entry

    def forget(self, name: bytes) -> None:
        """Take it out of the table: an older version in memory may allow what the newer one forbade."""
        place = self._places.pop(name, None)
        if place is not None:
            self.table.remove(*place)
            self._gone(*place)


def key_rows(table: KeyTable, keyring: Keyring, cluster_id: bytes, backend: Backend) -> RecordRows[Record]:
    """Return the kind of rows that keys are."""
    return RecordRows(
        "key",
        tuple(PREFIXES),
        table,
        keyring.name,
        lambda data, name: open_record(data, name, cluster_id, keyring),
        lambda record: unsealed_record(record, keyring),
        backend.forget,
    )


def object_rows(table: ObjectTable, keyring: Keyring, cluster_id: bytes) -> RecordRows[ObjectRecord]:
    """Return the kind of rows that objects are."""
    return RecordRows(
        "object",
        (OBJECT_FORMAT,),
        table,
        keyring.object_name,
        lambda data, name: open_object(data, name, cluster_id, keyring),
        lambda record: unsealed_object(record, keyring),
    )
