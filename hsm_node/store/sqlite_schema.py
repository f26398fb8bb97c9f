"""The SQLite file itself: its form, how it is made, and what is checked before it is trusted.

Theory. The file is made whole under another name and linked into place, so nobody ever sees half of one, and of two
nodes that start at once one wins and the other uses what it made. An existing file is looked at without being
opened by SQLite first (header only), so a file that is not ours or is newer is left untouched. Its check record is
authenticated under the master key: a node with another one stops before it has written anything.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final

import msgspec

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x52444254
CLUSTER_ID_BYTES: Final = 16
FIRST_EPOCH: Final = 1
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
    revision INTEGER NOT NULL
);
CREATE TABLE records (name BLOB PRIMARY KEY, revision INTEGER NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
CREATE UNIQUE INDEX records_by_revision ON records (revision);
"""


class ClusterRow(msgspec.Struct, frozen=True):
    """The check record: whose store it is."""

    cluster_id: bytes
    name: str
    epoch: int

    @property
    def authenticated(self) -> bytes:
        """The bytes that its MAC covers."""
        return b"redoubt store\x01" + self.cluster_id + self.epoch.to_bytes(8, "big") + self.name.encode()


def connect(path: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    """Open the file with the settings that both connections share."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms:d}")
        connection.execute("PRAGMA synchronous = FULL")
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
    except sqlite3.Error:
        raise StartError(f"{path}: the store is damaged or cannot be opened; restore it from a backup") from None


def make_store(path: Path, cluster: str, keyring: Keyring) -> None:
    """Make the file, unless another node is faster."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        row = ClusterRow(os.urandom(CLUSTER_ID_BYTES), cluster, FIRST_EPOCH)
        connection = connect(fresh, BUSY_TIMEOUT_MS)
        try:
            connection.executescript(_SCHEMA)
            connection.execute(
                "INSERT INTO cluster VALUES (1, ?, ?, ?, ?, 0)",
                (row.cluster_id, row.name, row.epoch, keyring.mac(row.authenticated)),
            )
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


def check_header(path: Path) -> None:
    """Refuse what is not a store of this version, without letting SQLite touch it."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise StartError(f"{path}: the store cannot be read ({error.strerror}); check the file's rights") from None
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise StartError(f"{path}: the store is damaged or not a store; restore it from a backup")
    user_version = int.from_bytes(header[60:64], "big")
    application = int.from_bytes(header[68:72], "big")
    if application != APPLICATION_ID:
        raise StartError(f"{path}: this is an SQLite file, but not a Redoubt store; correct [store] path")
    if user_version > SCHEMA_VERSION:
        raise StartError(
            f"{path}: the store has schema version {user_version}, this program knows {SCHEMA_VERSION}; "
            "upgrade hsm-node"
        )
    if user_version < SCHEMA_VERSION:
        raise StartError(f"{path}: the store is damaged (schema version {user_version}); restore it from a backup")


def check_content(path: Path, connection: sqlite3.Connection, cluster: str, keyring: Keyring) -> ClusterRow:
    """Return the check record of a sound store that belongs to this cluster and master key."""
    damaged = StartError(f"{path}: the store is damaged; stop its nodes and restore it from a backup")
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()
        found = connection.execute("SELECT cluster_id, name, epoch, mac FROM cluster").fetchone()
        connection.execute("SELECT name, revision, data FROM records LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise StartError(f"{path}: the store is locked by another program; stop it and start again") from None
        raise damaged from None
    except sqlite3.DatabaseError:
        raise damaged from None
    if verdict != ("ok",) or found is None:
        raise damaged
    try:
        row = msgspec.convert({"cluster_id": found[0], "name": found[1], "epoch": found[2]}, ClusterRow)
    except msgspec.ValidationError:
        raise damaged from None
    if row.name != cluster:
        raise StartError(f"{path}: the store belongs to cluster {row.name!r}, not {cluster!r}; correct [store] path")
    if not isinstance(found[3], bytes) or not keyring.mac_matches(row.authenticated, found[3]):
        raise StartError(
            f"{path}: the master key is not the one that this store was made with; correct [keystore] master_key"
        )
    return row
