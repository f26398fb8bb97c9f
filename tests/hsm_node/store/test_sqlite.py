import sqlite3
from collections.abc import Iterator
from pathlib import Path

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


def test_a_commit_is_its_own_confirmation(stores: list[SqliteStore]) -> None:
    assert stores[0].unconfirmed(1).result(0) == []
    with pytest.raises(StoreError, match="has no member at a DR site"):
        stores[0].copied(1)


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
