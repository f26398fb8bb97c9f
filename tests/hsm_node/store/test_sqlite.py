import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from hsm_node.core.keyring import Keyring
from hsm_node.store.base import ReplacedStoreError, Row, StoreError
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
    for use in (store.changed, lambda: store.rows_after(0), lambda: store.create(b"n", b"1"), lambda: store.read(b"n")):
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


def test_a_read_shows_what_another_node_wrote_last(stores: list[SqliteStore]) -> None:
    one, two = stores
    assert two.read(b"n") is None
    row = one.create(b"n", b"1")
    assert two.read(b"n") == row
    assert one.change(b"n", row.revision, b"2") == two.read(b"n")


def test_a_read_waits_for_no_writer(tmp_path: Path, stores: list[SqliteStore]) -> None:
    row = stores[0].create(b"n", b"1")
    writer = sqlite3.connect(tmp_path / "store.db")
    writer.execute("BEGIN IMMEDIATE")
    assert stores[1].read(b"n") == row
    writer.close()


def copied(path: Path, name: str) -> Path:
    """Return a copy of a store, as a backup makes it."""
    target = path.with_name(name)
    source, sink = sqlite3.connect(path), sqlite3.connect(target)
    source.backup(sink)
    source.close()
    sink.close()
    return target


def test_another_file_in_the_stores_place_is_noticed_until_the_first_is_back(
    tmp_path: Path, stores: list[SqliteStore]
) -> None:
    store, path = stores[0], tmp_path / "store.db"
    row = store.create(b"n", b"1")
    assert store.changed()
    older = copied(path, "older.db")
    path.rename(tmp_path / "kept.db")
    for gone in (True, False):
        if not gone:
            older.rename(path)
        for use in (store.changed, lambda: store.create(b"x", b"1"), lambda: store.read(b"n")):
            with pytest.raises(ReplacedStoreError, match="another file"):
                use()
    (tmp_path / "kept.db").replace(path)
    assert store.changed()
    assert store.rows_after(0) == [row]
    assert store.create(b"x", b"1").revision > row.revision


def test_an_older_state_in_the_same_file_is_noticed_and_not_written_to(
    tmp_path: Path, stores: list[SqliteStore]
) -> None:
    store, path = stores[0], tmp_path / "store.db"
    rows = [store.create(bytes([number]), b"1") for number in range(3)]
    assert store.rows_after(0) == rows
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("DELETE FROM records WHERE revision > 1")
        connection.execute("UPDATE cluster SET revision = 1")
    assert store.changed()
    with pytest.raises(ReplacedStoreError, match="older copy"):
        store.rows_after(3)
    assert store.changed(), "what was not read is looked at again"
    with pytest.raises(ReplacedStoreError, match="older copy"):
        store.create(b"x", b"1")
    assert connection.execute("SELECT revision FROM cluster").fetchone() == (1,)
    with connection:
        connection.execute("UPDATE cluster SET revision = 9")
    connection.close()
    assert store.rows_after(3) == []


@pytest.mark.parametrize("revision", [(1 << 63) - 1, 1.5e300, "many"])
def test_a_counter_that_somebody_else_wrote_is_a_fault_of_the_store(
    tmp_path: Path, stores: list[SqliteStore], revision: object
) -> None:
    stores[0].create(b"n", b"1")
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE cluster SET revision = ?", (revision,))
    connection.close()
    with pytest.raises(StoreError):
        stores[0].create(b"x", b"1")


def test_a_failed_change_gives_its_revision_to_the_next(stores: list[SqliteStore]) -> None:
    store = stores[0]
    with pytest.raises(StoreError):
        store.create(b"n", ["no bytes"])  # type: ignore[arg-type]  # what SQLite cannot store
    assert store.create(b"n", b"1").revision == 1


def test_a_row_that_is_out_of_order_has_no_data_and_hides_no_other(tmp_path: Path, stores: list[SqliteStore]) -> None:
    store = stores[0]
    good = store.create(b"good", b"1")
    connection = sqlite3.connect(tmp_path / "store.db")
    with connection:
        connection.execute("INSERT INTO records VALUES (x'01', 1000000, x'01'), ('text', 'text', 'text')")
    connection.close()
    assert store.rows_after(0) == [good, Row(b"\x01", good.revision, b""), Row(b"", good.revision, b"")]
    later = store.create(b"later", b"1")
    assert store.rows_after(good.revision)[0] == later
