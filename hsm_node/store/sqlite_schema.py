"""The SQLite file itself: its form, how it is made, and what is checked before it is trusted.

Theory. The file is made whole under another name and linked into place, so nobody ever sees half of one, and of two
nodes that start at once one wins and the other uses what it made. An existing file is looked at without being
opened by SQLite first (header only), so a file that is not ours or is newer is left untouched. Its check record is
authenticated before anything is written.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.store.check_record import (
    CLUSTER_ID_BYTES,
    FIRST_EPOCH,
    CheckRecord,
    ClusterRow,
    accept,
    check_cluster,
    make_check_record,
    other_key,
)
from hsm_node.store.sqlite_moved import MOVED_VERSION, maybe_moved, refusal

SCHEMA_VERSION: Final = 2
FIRST_SCHEMA_VERSION: Final = 1
"""The oldest that is upgraded when it is opened."""
APPLICATION_ID: Final = 0x52444254
SETTING: Final = "[store] path"
BUSY_TIMEOUT_MS: Final = 5_000
"""How long a writer waits for the writers of other nodes."""
_MAGIC: Final = b"SQLite format 3\x00"
_HEADER_BYTES: Final = 100
_SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE cluster (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    cluster_id BLOB NOT NULL, name TEXT NOT NULL, epoch INTEGER NOT NULL, mac BLOB NOT NULL,
    revision INTEGER NOT NULL, master_key_version INTEGER, naming_key BLOB, digest_key BLOB
);
CREATE TABLE records (name BLOB PRIMARY KEY, revision INTEGER NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
CREATE UNIQUE INDEX records_by_revision ON records (revision);
"""
_GET_CLUSTER_ROW: Final = "SELECT cluster_id, name, epoch, mac FROM cluster"
_GET_CHECK_RECORD: Final = (
    "SELECT cluster_id, name, epoch, master_key_version, naming_key, digest_key, mac FROM cluster"
)
_SET_CHECK_RECORD: Final = "UPDATE cluster SET master_key_version = ?, naming_key = ?, digest_key = ?, mac = ?"

CACHE_KIB: Final = 256
CACHE: Final = f"PRAGMA cache_size = -{CACHE_KIB:d}"
"""Pages of a file that one connection keeps. SQLite's own 2 MB fill up while the store grows, in blocks that lie all
over the heap; and what they are for is in memory already: the records. The system has the file's pages, too."""

T = TypeVar("T", bound=ClusterRow)


def connect(path: Path, busy_timeout_ms: int, *, alone: bool = False) -> sqlite3.Connection:
    """Open the file with the settings that all connections share; `alone`: it is locked while a node has it open, and
    no node opens it until this is closed."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms:d}")
        if alone:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # Of no use after the first look into the file.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(CACHE)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect_checked(path: Path) -> sqlite3.Connection:
    """Open an existing store at start.

    Raises:
        StartError: SQLite cannot even read its first page.
    """
    try:
        return connect(path, BUSY_TIMEOUT_MS)
    except sqlite3.Error as error:
        if _is_locked(error):
            raise _locked(path) from None
        raise StartError(f"{path}: the store is damaged or cannot be opened; restore it from a backup") from None


def make_store(path: Path, cluster: str, keyring: Keyring) -> None:
    """Make the file, unless another node is faster: then its store is used, with the keys in that."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    keyring.make_store_keys()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        row = ClusterRow(os.urandom(CLUSTER_ID_BYTES), cluster, FIRST_EPOCH)
        connection = connect(fresh, BUSY_TIMEOUT_MS)
        try:
            connection.executescript(_SCHEMA)
            connection.execute(
                "INSERT INTO cluster (only, cluster_id, name, epoch, mac, revision) VALUES (1, ?, ?, ?, x'', 0)",
                (row.cluster_id, row.name, row.epoch),
            )
            write_check_record(connection, make_check_record(row, keyring), keyring)
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
        with contextlib.suppress(FileExistsError):  # Another node was faster: its file is the store.
            os.link(fresh, path)
    except (OSError, sqlite3.Error) as error:
        raise StartError(f"{path}: the store cannot be made ({error}); check the folder and its rights") from None
    finally:
        with contextlib.suppress(OSError):  # The folder may be what is wrong; that has been said.
            fresh.unlink(missing_ok=True)


def write_check_record(connection: sqlite3.Connection, record: CheckRecord, keyring: Keyring) -> None:
    """Replace the check record; within the caller's transaction."""
    mac = keyring.mac(record.authenticated, record.master_key_version)
    values = (record.master_key_version, record.naming_key, record.digest_key, mac)
    connection.execute(_SET_CHECK_RECORD, values)


def version_in_use(connection: sqlite3.Connection, keyring: Keyring) -> int:
    """Return the version of the master key that the store is under; 0 where the keyring does not hold it."""
    record, mac = read_check_record(connection)
    return keyring.mac_version(record.authenticated, mac) if isinstance(mac, bytes) else 0


def check_header(path: Path) -> None:
    """Refuse what is not a store of this version or an earlier one, without letting SQLite touch it."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise StartError(f"{path}: the store cannot be read ({error.strerror}); check the file's rights") from None
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise StartError(f"{path}: the store is damaged or not a store; restore it from a backup")
    application = int.from_bytes(header[68:72], "big")
    if application != APPLICATION_ID:
        raise StartError(f"{path}: this is an SQLite file, but not a Redoubt store; correct [store] path")
    _check_version(path, int.from_bytes(header[60:64], "big"))


def _check_version(path: Path, version: int) -> None:
    if version == MOVED_VERSION:  # Where to, only the content says.
        return
    if version > SCHEMA_VERSION:
        raise StartError(
            f"{path}: the store has schema version {version}, this program knows {SCHEMA_VERSION}; upgrade hsm-node"
        )
    if version < FIRST_SCHEMA_VERSION:
        raise StartError(f"{path}: the store is damaged (schema version {version}); restore it from a backup")


def check_content(path: Path, connection: sqlite3.Connection, cluster: str, keyring: Keyring) -> ClusterRow:
    """Return what is said of a sound store that belongs to this cluster and master key; the keyring uses its keys."""
    damaged = StartError(f"{path}: the store is damaged; stop its nodes and restore it from a backup")
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()
        connection.execute("SELECT name, revision, data FROM records LIMIT 1").fetchone()
        # What the header says may be older than the write-ahead log.
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        _check_version(path, version)
        if verdict != ("ok",):
            raise damaged
        moved = maybe_moved(connection)
        if moved is not None:
            raise refusal(path, moved)
        if version == FIRST_SCHEMA_VERSION:
            _upgrade(path, connection, cluster, keyring)
        record, mac = read_check_record(connection)
    except sqlite3.OperationalError as error:
        if _is_locked(error):
            raise _locked(path) from None
        raise damaged from None
    except (sqlite3.DatabaseError, msgspec.ValidationError):
        raise damaged from None
    check_cluster(str(path), record, cluster, SETTING)
    accept(str(path), record, mac, keyring)
    return record


def _is_locked(error: sqlite3.Error) -> bool:
    return "locked" in str(error) or "busy" in str(error)


def _locked(path: Path) -> StartError:
    return StartError(f"{path}: the store is locked by another program; stop it, or wait for its end, and start again")


def _upgrade(path: Path, connection: sqlite3.Connection, cluster: str, keyring: Keyring) -> None:
    """Make schema 2 of schema 1, whole or not at all: the keys that were derived until now are kept, wrapped."""
    if len(keyring.versions) > 1:
        raise StartError(f"{path}: the store has schema version 1; start once with one master key to upgrade it")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if int(connection.execute("PRAGMA user_version").fetchone()[0]) == FIRST_SCHEMA_VERSION:
            row, mac = _check_record(connection, _GET_CLUSTER_ROW, ClusterRow)
            check_cluster(str(path), row, cluster, SETTING)
            if not isinstance(mac, bytes) or not keyring.mac_matches(row.authenticated, mac):
                raise other_key(str(path))
            for column in ("master_key_version INTEGER", "naming_key BLOB", "digest_key BLOB"):
                connection.execute(f"ALTER TABLE cluster ADD COLUMN {column}")
            write_check_record(connection, make_check_record(row, keyring), keyring)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION:d}")
        connection.execute("COMMIT")  # Another node may have been faster.
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def read_check_record(connection: sqlite3.Connection) -> tuple[CheckRecord, object]:
    """Return the check record and its MAC; nobody has authenticated them.

    Raises:
        sqlite3.DatabaseError: there is none.
        msgspec.ValidationError: it has not the form of one.
    """
    return _check_record(connection, _GET_CHECK_RECORD, CheckRecord)


def _check_record(connection: sqlite3.Connection, query: str, form: type[T]) -> tuple[T, object]:
    """Return the row in that form, and its MAC, which nobody has looked at yet."""
    found = connection.execute(query).fetchone()
    if found is None:
        raise sqlite3.DatabaseError("there is no check record")
    columns = form.__struct_fields__[: len(found) - 1]  # A store of one host is never promoted.
    return msgspec.convert(dict(zip(columns, found[:-1], strict=True)), form), found[-1]
