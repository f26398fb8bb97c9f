"""The watch against a real etcd: where it goes on, and what it does when that is no more."""

import time
from collections.abc import Callable

import pytest
from etcd import EtcdCluster

from hsm_node.store.base import Row
from hsm_node.store.etcd import watching
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.transactions import key_of

OpenStore = Callable[..., EtcdStore]
ARRIVAL_S = 10.0


def name(number: int) -> bytes:
    return number.to_bytes(32, "big")


def rows_of(store: EtcdStore, count: int) -> list[Row]:
    """Return that many rows as they come."""
    deadline = time.monotonic() + ARRIVAL_S
    rows: list[Row] = []
    while len(rows) < count:
        assert time.monotonic() < deadline, rows
        if store.changed():
            rows += store.rows_after(rows[-1].revision if rows else 0)
        time.sleep(0.001)
    return rows


def test_a_list_of_several_pages_is_complete_and_in_order(
    open_etcd: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PAGE_ROWS", 7)
    first = open_etcd()
    made = [first.create(name(99 - number), b"%d" % number) for number in range(22)]
    second = open_etcd()
    assert second.changed()
    assert second.rows_after(0) == made


def test_a_watch_that_was_ended_goes_on_without_a_gap_and_nothing_twice(open_etcd: OpenStore) -> None:
    one, two = open_etcd(), open_etcd()
    made = []
    for number in range(30):
        made.append(one.create(name(number), b"1"))
        if number % 10 == 5:
            two._watching.end_watch()
    assert rows_of(two, 30) == made
    assert two.lists == 1


def test_a_revision_that_was_compacted_is_listed_and_compared(etcd: EtcdCluster, open_etcd: OpenStore) -> None:
    store = open_etcd()
    first = [store.create(name(number), b"1") for number in range(3)]
    assert rows_of(store, 3) == first
    state = store._following._state
    before, known = state.arrived, dict(state._known)
    newer = store.change(name(1), first[1].revision, b"2")
    assert newer is not None
    newest = store.change(name(1), newer.revision, b"3")
    assert rows_of(store, 2) == [newer, newest]
    etcd.ctl("compact", str(store.revision))
    # As if the watch had been away for days: the place where it would go on is gone.
    state.arrived, state._known = before, known
    store._watching.end_watch()
    assert rows_of(store, 1) == [newest]
    assert store.lists == 2
    later = store.create(name(7), b"1")
    assert rows_of(store, 1) == [later]


def test_a_row_that_somebody_deletes_comes_as_damage(etcd: EtcdCluster, open_etcd: OpenStore) -> None:
    store = open_etcd()
    row = store.create(b"n" * 32, b"1")
    assert rows_of(store, 1) == [row]
    etcd.ctl("del", key_of(row.name).decode())
    [gone] = rows_of(store, 1)
    assert (gone.name, gone.data) == (row.name, b"")
    assert gone.revision > row.revision
