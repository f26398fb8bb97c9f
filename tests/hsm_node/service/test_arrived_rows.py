"""Rows that wait to be applied."""

from collections.abc import Callable
from typing import Any

import pytest

from hsm_node.core.keyring import Keyring
from hsm_node.core.records import Record, seal_record
from hsm_node.core.refusal import Refusal
from hsm_node.service.arrived_rows import EXPECTED_ROWS, ArrivedRows
from hsm_node.store.base import Row
from hsm_wire.statuses import Status


class Given:
    """A store that gives rows once."""

    def __init__(self, *rows: Row) -> None:
        self.rows = list(rows)
        self.asked: list[int] = []

    def changed(self) -> bool:
        return bool(self.rows)

    def rows_after(self, revision: int) -> list[Row]:
        self.asked.append(revision)
        given, self.rows = self.rows, []
        return given


def given(*rows: Row) -> Any:
    return Given(*rows)


def test_rows_are_applied_once_and_in_order(keyring: Keyring) -> None:
    store = given(Row(b"a", 1, b""), Row(b"b", 2, b""))
    arrived, applied = ArrivedRows(keyring), list[Row]()
    assert arrived.look(store, 0)
    assert arrived.names == [b"a", b"b"]
    arrived.apply(applied.append, loading=True)
    assert [row.revision for row in applied] == [1, 2]
    assert not arrived.look(store, 2)


def test_what_could_not_be_applied_is_next(keyring: Keyring) -> None:
    store = given(Row(b"a", 1, b""), Row(b"b", 2, b""), Row(b"c", 3, b""))
    arrived, applied = ArrivedRows(keyring), list[int]()
    gone = True

    def apply(row: Row) -> None:
        if row.revision == 2 and gone:
            raise Refusal(Status.DEVICE_ERROR, "the device is gone")
        applied.append(row.revision)

    assert arrived.look(store, 0)
    with pytest.raises(Refusal):
        arrived.apply(apply, loading=False)
    store.rows = [Row(b"d", 4, b"")]
    gone = False
    assert arrived.look(store, 1)
    assert store.asked == [0, 3]
    arrived.apply(apply, loading=False)
    assert applied == [1, 2, 3, 4]
    assert not arrived.look(store, 4)


def test_while_it_loads_a_device_is_asked_for_many_macs_at_once(
    make_record: Callable[..., Record], remote_keys: Any
) -> None:
    ring = Keyring(remote_keys)
    data = [seal_record(make_record(), ring) for _ in range(3)]
    remote_keys.asked.clear()
    rows = [Row(b"n", number + 1, data[number % 3]) for number in range(EXPECTED_ROWS + 1)]
    for loading, expected in ((False, 0), (True, EXPECTED_ROWS + 1)):
        arrived = ArrivedRows(ring)
        assert arrived.look(given(*rows), 0)
        arrived.apply(lambda row: None, loading=loading)
        assert len(remote_keys.expected) == expected
    assert all(remote_keys.expected)
