import sqlite3
from pathlib import Path

import pytest

from hsm_node.core.keyring import Keyring
from hsm_node.store.base import ReplacedStoreError, Row, StoreError
from hsm_node.store.sqlite import SqliteStore
from hsm_node.store.sqlite_snapshot import SqliteSnapshot, sound_row


@pytest.fixture
def path(tmp_path: Path, keyring: Keyring) -> Path:
    place = tmp_path / "store.db"
    SqliteStore(place, "dev", keyring).close()
    return place


def test_a_file_that_is_no_store_is_said(tmp_path: Path, path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        SqliteSnapshot(str(tmp_path / "missing.db"))
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM cluster")
    connection.close()
    with pytest.raises(StoreError):
        SqliteSnapshot(str(path))


def test_a_snapshot_that_was_closed_is_read_no_more(path: Path) -> None:
    snapshot = SqliteSnapshot(str(path))
    snapshot.close()
    with pytest.raises(StoreError):
        snapshot.read()


def test_a_store_that_was_replaced_gives_no_snapshot(path: Path, keyring: Keyring) -> None:
    store = SqliteStore(path, "dev", keyring)
    path.rename(path.with_suffix(".old"))
    with pytest.raises(ReplacedStoreError):
        store.snapshot()
    store.close()


def test_what_is_no_row_is_one_that_nobody_takes_for_authentic() -> None:
    assert sound_row(b"n", 1, b"d") == Row(b"n", 1, b"d")
    assert sound_row("n", "1", "d") == Row(b"", 0, b"")
