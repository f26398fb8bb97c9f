"""Rows of what belongs to a partition."""

from collections.abc import Callable
from typing import Any

import pytest

from hsm_node.core.envelopes import Reason, RecordError
from hsm_node.core.key_table import KeyTable
from hsm_node.core.keyring import Keyring
from hsm_node.core.records import Record, next_record, seal_record
from hsm_node.service.record_rows import RecordRows, key_rows
from hsm_node.store.base import Row

Make = Callable[..., Record]
CLUSTER = b"c" * 16


class Backend:
    """Notes which keys it is told to forget."""

    def __init__(self) -> None:
        self.forgotten: list[tuple[int, bytes]] = []

    def forget(self, partition: int, key_id: bytes) -> None:
        self.forgotten.append((partition, key_id))


@pytest.fixture
def backend() -> Any:
    return Backend()


@pytest.fixture
def kind(keyring: Keyring, backend: Any) -> RecordRows[Record]:
    return key_rows(KeyTable(), keyring, CLUSTER, backend)


def row_of(record: Record, revision: int, keyring: Keyring) -> Row:
    return Row(keyring.name(*record.place), revision, seal_record(record, keyring))


def taken(kind: RecordRows[Record], row: Row) -> Any:
    return kind.take(kind.open(row), row)


def test_a_row_is_opened_taken_and_known(kind: RecordRows[Record], keyring: Keyring, make_record: Make) -> None:
    record = make_record()
    assert kind.known(record) is None
    entry = taken(kind, row_of(record, 4, keyring))
    assert (entry.record, entry.revision) == (record, 4)
    assert kind.known(record) is entry


def test_a_row_under_another_name_is_refused(kind: RecordRows[Record], keyring: Keyring, make_record: Make) -> None:
    row = row_of(make_record(), 1, keyring)
    with pytest.raises(RecordError) as refused:
        kind.open(Row(keyring.name(2, b"k" * 16), 1, row.data))
    assert refused.value.reason is Reason.MOVED


def test_what_is_forgotten_is_in_no_table_and_no_back_end(
    kind: RecordRows[Record], backend: Any, keyring: Keyring, make_record: Make
) -> None:
    record = make_record()
    row = row_of(record, 1, keyring)
    taken(kind, row)
    assert backend.forgotten == []
    for _ in range(2):
        kind.forget(row.name)
    assert (kind.known(record), backend.forgotten) == (None, [record.place])


def test_a_destroyed_key_leaves_the_back_end_and_its_tombstone_stays(
    kind: RecordRows[Record], backend: Any, keyring: Keyring, make_record: Make
) -> None:
    record = make_record()
    taken(kind, row_of(record, 1, keyring))
    row = row_of(next_record(record, destroyed=True, wrapped=b""), 2, keyring)
    assert taken(kind, row).record.destroyed
    kind.forget(row.name)
    known = kind.known(record)
    assert known is not None
    assert (known.record.destroyed, backend.forgotten) == (True, [record.place])
