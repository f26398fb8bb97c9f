"""`seen.db` in the state directory: the ledger on disk.

Theory. The file is believed only as a whole: its header has the sum over all entries and is authenticated, so an entry
that somebody changed, added or took away is noticed at start. What cannot be noticed is that the whole file went, or
was exchanged for an older one together with the store. It is made whole under another name and renamed into place, so
a file that is there is complete.

It belongs to the process that opened it last. A node that still answers its last requests while its successor has
started must not write into what the other goes by, so each file has a mark of its owner, and who finds another's
stops writing: the successor sees the same rows of the same store.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hsm_daemon.errors import StartError
from hsm_node.core.ledger import NAME_BYTES, Ledger, LedgerError, Snapshot, split
from hsm_node.store.sqlite_schema import CACHE

FILE_NAME: Final = "seen.db"
APPLICATION_ID: Final = 0x52445345
SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_MS: Final = 2_000
"""How long to wait for a predecessor that is writing its last entries."""
_OWNER_BYTES: Final = 16
_SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE header (only INTEGER PRIMARY KEY CHECK (only = 1), data BLOB NOT NULL, owner BLOB NOT NULL);
CREATE TABLE seen (name BLOB PRIMARY KEY, entry BLOB NOT NULL) WITHOUT ROWID;
"""


class SeenFileError(Exception):
    """It could not be written. The text is for the log."""


class DisplacedError(SeenFileError):
    """Another process keeps the file now."""


class SeenFile:
    """The file of one node. `load` at start; `write` and `close` from one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._owner = os.urandom(_OWNER_BYTES)
        self._connection: sqlite3.Connection | None = None
        self._file: int | None = None

    def load(self, ledger: Ledger) -> bool:
        """Fill the ledger and make the file this process's; False where there is none yet.

        Raises:
            StartError: it is damaged, or not what this node has written. Nothing was changed.
        """
        if not self._path.exists():
            return False
        connection = None
        try:
            connection = self._connect(self._path)
            connection.execute("BEGIN IMMEDIATE")
            self._check_form(connection)
            header = connection.execute("SELECT data FROM header").fetchone()
            ledger.restore(connection.execute("SELECT name, entry FROM seen"), header[0] if header else None)
            connection.execute("UPDATE header SET owner = ?", (self._owner,))
            connection.execute("COMMIT")
        except (LedgerError, sqlite3.Error) as error:
            if connection is not None:
                connection.close()
            if "locked" in str(error):
                raise StartError(f"{self._path}: another process uses it; stop that node first") from None
            raise StartError(
                f"{self._path}: what this node has seen of the store was damaged or changed ({error}); find out who "
                "did it, compare the store with a backup, then remove this file to begin anew"
            ) from None
        self._keep(connection)
        return True

    def write(self, snapshot: Snapshot) -> None:
        """Write a snapshot, whole or not at all. Called in a thread; a part that has no file is an error.

        Raises:
            SeenFileError: it was not written; the next snapshot must be a whole one.
        """
        try:
            if snapshot.whole:
                self._make(snapshot)
            else:
                self._add(snapshot)
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise SeenFileError(f"{self._path}: {error}") from None
        except SeenFileError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _add(self, snapshot: Snapshot) -> None:
        connection = self._connection
        if connection is None or self._identity() != self._file:
            raise SeenFileError(f"{self._path} was removed or exchanged")
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._check_owner(connection)
            connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?)", _rows(snapshot))
            connection.execute("UPDATE header SET data = ?", (snapshot.header,))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _make(self, snapshot: Snapshot) -> None:
        self.close()
        if self._file is not None and self._path.exists():
            self._check_kept()
        fresh = self._path.with_name(f".{FILE_NAME}.{os.getpid()}.new")
        try:
            fresh.unlink(missing_ok=True)
            os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            connection = self._connect(fresh)
            try:
                connection.executescript(_SCHEMA)
                connection.execute("BEGIN")
                connection.executemany("INSERT INTO seen VALUES (?, ?)", _rows(snapshot))
                connection.execute("INSERT INTO header VALUES (1, ?, ?)", (snapshot.header, self._owner))
                connection.execute("COMMIT")
            finally:
                connection.close()
            fresh.rename(self._path)
        finally:
            fresh.unlink(missing_ok=True)
        self._keep(self._connect(self._path))

    def _keep(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._file = self._identity()

    def _identity(self) -> int | None:
        try:
            return self._path.stat().st_ino
        except OSError:
            return None

    def _check_owner(self, connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT owner FROM header").fetchone() != (self._owner,):
            raise DisplacedError(f"{self._path}: another process keeps it now")

    def _check_kept(self) -> None:
        """Leave a file alone that another process took over. One that cannot be read is nobody's."""
        with contextlib.suppress(sqlite3.Error):
            connection = self._connect(self._path)
            try:
                self._check_owner(connection)
            finally:
                connection.close()

    @staticmethod
    def _check_form(connection: sqlite3.Connection) -> None:
        form = tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        if form != (APPLICATION_ID, SCHEMA_VERSION):
            raise LedgerError("it is no file of this version")

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS:d}")
            connection.execute(CACHE)
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _rows(snapshot: Snapshot) -> Iterator[tuple[bytes, bytes]]:
    return ((entry[:NAME_BYTES], entry[NAME_BYTES:]) for entry in split(snapshot.entries))
