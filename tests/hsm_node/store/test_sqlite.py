import contextlib
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from hsm_node.core.keyring import Keyring
from hsm_node.store.base import Row, StoreError
from hsm_node.store.sqlite import SqliteStore


@pytest.fixture
def stores(tmp_path: Path, keyring: Keyring) -> Iterator[list[SqliteStore]]:
    made = [SqliteStore(tmp_path / "store.db", "dev", keyring) for _ in range(2)]
    yield made
    for store in made:
        store.close()


def test_two_nodes_see_each_others_changes_before_the_next_request(stores: list[SqliteStore]) -> None:
    one, two = stores
    assert one.cluster_id == two.cluster_id
    assert two.changed()
    assert not two.changed()
    row = one.create(b"n", b"1")
    assert two.changed()
    assert two.rows_after(0) == [row]
    changed = one.change(b"n", row.revision, b"2")
    assert changed is not None
    assert two.changed()
    assert two.rows_after(row.revision) == [changed]
    assert not two.changed()


def test_a_create_returns_what_is_there_already(stores: list[SqliteStore]) -> None:
    one, two = stores
    assert two.create(b"n", b"2") == one.create(b"n", b"1")


def test_a_change_at_an_old_revision_changes_nothing(stores: list[SqliteStore]) -> None:
    one, two = stores
    row = one.create(b"n", b"1")
    assert two.change(b"n", row.revision, b"2") is not None
    assert one.change(b"n", row.revision, b"3") is None
    assert one.change(b"other", row.revision, b"3") is None
    assert [found.data for found in one.rows_after(0)] == [b"2"]


def test_many_creates_at_once_make_one_row(stores: list[SqliteStore]) -> None:
    answers: list[Row] = []
    threads = [
        Thread(target=lambda s=store, n=number: answers.append(s.create(b"n", b"%d" % n)))
        for number, store in enumerate(stores)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(repr, answers))) == 1
    assert len(stores[0].rows_after(0)) == 1


def test_a_commit_is_its_own_confirmation(stores: list[SqliteStore]) -> None:
    assert stores[0].unconfirmed(1) == []


def test_what_was_stored_is_there_after_a_restart(tmp_path: Path, keyring: Keyring) -> None:
    first = SqliteStore(tmp_path / "store.db", "dev", keyring)
    row = first.create(b"n", b"1")
    first.close()
    second = SqliteStore(tmp_path / "store.db", "dev", keyring)
    assert second.rows_after(0) == [row]
    second.close()


def test_a_closed_store_says_that_it_cannot_be_reached(tmp_path: Path, keyring: Keyring) -> None:
    store = SqliteStore(tmp_path / "store.db", "dev", keyring)
    store.close()
    for use in (store.changed, lambda: store.rows_after(0), lambda: store.create(b"n", b"1")):
        with pytest.raises(StoreError):
            use()


def test_a_store_that_is_closed_amid_changes_ends_them_in_order(tmp_path: Path, keyring: Keyring) -> None:
    store = SqliteStore(tmp_path / "closed.db", "dev", keyring)
    made: list[Row] = []

    def create() -> None:
        with contextlib.suppress(StoreError):
            made.extend(store.create(number.to_bytes(4, "big"), b"d") for number in range(100_000))

    writer = Thread(target=create)
    writer.start()
    while not made:
        writer.join(0.001)
    store.close()
    writer.join(10)
    assert not writer.is_alive()
    again = SqliteStore(tmp_path / "closed.db", "dev", keyring)
    assert again.rows_after(0) == made
    again.close()
