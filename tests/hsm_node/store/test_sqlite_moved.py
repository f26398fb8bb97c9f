import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.store.sqlite import SqliteStore
from hsm_node.store.sqlite_moved import MOVED_VERSION, Moved, mark_moved, maybe_moved, unmark
from hsm_node.store.sqlite_schema import SCHEMA_VERSION

MOVED = Moved("etcd at here:2379", 1_800_000_000)


@pytest.fixture
def path(tmp_path: Path, keyring: Keyring) -> Path:
    store = SqliteStore(tmp_path / "store.db", "dev", keyring)
    store.create(b"n" * 32, b"kept")
    store.close()
    return tmp_path / "store.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as opened:
        yield opened


def test_a_store_that_was_moved_opens_nowhere_and_says_where_it_is(
    path: Path, connection: sqlite3.Connection, keyring: Keyring
) -> None:
    mark_moved(connection, MOVED)
    with pytest.raises(StartError, match="moved to etcd at here:2379 on 2027-01-15 08:00 UTC; .*--undo") as caught:
        SqliteStore(path, "dev", keyring)
    assert "\n" not in str(caught.value)
    assert maybe_moved(connection) == MOVED


def test_a_program_that_does_not_know_the_mark_takes_it_for_a_newer_store() -> None:
    assert MOVED_VERSION > 1000 * SCHEMA_VERSION


def test_without_the_mark_it_is_the_store_that_it_was(
    path: Path, connection: sqlite3.Connection, keyring: Keyring
) -> None:
    assert maybe_moved(connection) is None
    mark_moved(connection, MOVED)
    unmark(connection, SCHEMA_VERSION)
    connection.close()
    store = SqliteStore(path, "dev", keyring)
    assert [row.data for row in store.rows_after(0)] == [b"kept"]
    store.close()


def test_a_mark_that_is_damaged_is_damage(path: Path, connection: sqlite3.Connection, keyring: Keyring) -> None:
    mark_moved(connection, MOVED)
    connection.execute("DELETE FROM moved")
    with pytest.raises(StartError, match="damaged"):
        SqliteStore(path, "dev", keyring)
