import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.store.migration.errors import MigrationError
from hsm_node.store.migration.source import Source
from hsm_node.store.sqlite import SqliteStore
from hsm_node.store.sqlite_moved import MOVED_VERSION, Moved

OpenSource = Callable[..., Source]
MOVED = Moved("etcd at here:2379", 1_800_000_000)


def test_the_rows_come_in_the_order_of_revisions(open_source: OpenSource) -> None:
    source = open_source()
    assert [row.data for row in source.rows()] == [b"row 1", b"row 2", b"row 3", b"row 4", b"change 9"]
    assert (source.count, source.revision, source.moved) == (5, 15, None)


def test_a_file_that_nodes_have_open_is_refused_in_one_line(
    path: Path, keyring: Keyring, open_source: OpenSource
) -> None:
    with (
        contextlib.closing(SqliteStore(path, "dev", keyring)),
        pytest.raises(MigrationError, match="nodes run on this store, .*; stop all of them") as caught,
    ):
        open_source()
    assert "\n" not in str(caught.value)
    open_source()


def test_no_node_opens_a_file_that_is_moved_just_now(path: Path, keyring: Keyring, open_source: OpenSource) -> None:
    source = open_source()
    list(source.rows())
    with pytest.raises(StartError, match="locked by another program"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("hsm_node.store.sqlite_schema.BUSY_TIMEOUT_MS", 50)
        SqliteStore(path, "dev", keyring)


def test_it_is_left_as_it_was_down_to_the_last_byte(path: Path, open_source: OpenSource) -> None:
    before = path.read_bytes()
    source = open_source()
    list(source.rows())
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        source._connection.execute("DELETE FROM records")
    source.close()
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_another_clusters_file_is_refused(open_source: OpenSource) -> None:
    with pytest.raises(StartError, match="belongs to cluster 'dev', not 'prod'"):
        open_source("prod")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("UPDATE records SET name = x'00' WHERE revision = 2", "1 records have not the form"),
        ("UPDATE records SET revision = 99 WHERE revision = 2", "1 records have not the form"),
        ("UPDATE records SET data = 'text'", "5 records have not the form"),
        ("UPDATE records SET data = zeroblob(2000000) WHERE revision = 2", "1 records have not the form"),
        ("UPDATE cluster SET mac = 'text'", "damaged"),
        ("DELETE FROM cluster", "damaged"),
        (f"PRAGMA user_version = {MOVED_VERSION:d}", "cannot be used .*moved"),
        ("PRAGMA user_version = 1", "schema version 1; start and stop a node of this version"),
    ],
)
def test_what_no_node_has_written_is_not_moved(path: Path, open_source: OpenSource, harm: str, said: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(harm)
    with pytest.raises(MigrationError, match=said):
        open_source()
    with contextlib.closing(sqlite3.connect(path)) as free:  # Nothing holds it.
        free.execute("PRAGMA locking_mode = EXCLUSIVE")
        free.execute("SELECT count(*) FROM records").fetchone()


def test_a_folder_that_cannot_be_written_is_one_line(open_source: OpenSource, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr("hsm_node.store.sqlite_schema.connect", refuse)
    with pytest.raises(MigrationError, match="cannot be used .*; check the folder and its rights"):
        open_source()


def test_it_is_marked_and_is_the_store_again(path: Path, keyring: Keyring, open_source: OpenSource) -> None:
    source = open_source()
    source.mark(MOVED)
    source.close()
    again = open_source()
    assert again.moved == MOVED
    again.unmark(3)
    assert again.moved is None
    again.close()
    with contextlib.closing(SqliteStore(path, "dev", keyring)) as store:
        assert [row.revision for row in store.rows_after(0)] == [2, 3, 4, 5, 15]


def test_a_store_that_comes_back_is_ahead_of_what_nodes_have_seen_elsewhere(
    path: Path, keyring: Keyring, open_source: OpenSource
) -> None:
    source = open_source()
    source.mark(MOVED)
    source.unmark(70)
    source.close()
    with contextlib.closing(SqliteStore(path, "dev", keyring)) as store:
        assert [row.revision for row in store.rows_after(0)] == [2, 3, 4, 5, 71]
        assert store.create(b"n" * 32, b"new").revision == 72
