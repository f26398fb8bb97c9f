"""The SQLite file that is moved: locked for ourselves from the first look on, and only read until it is marked."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from hsm_node.core.ledger import NAME_BYTES
from hsm_node.store import sqlite_schema as schema
from hsm_node.store.base import Row
from hsm_node.store.check_record import CheckRecord, check_cluster
from hsm_node.store.migration.errors import MigrationError
from hsm_node.store.sqlite_moved import MOVED_VERSION, Moved, mark_moved, maybe_moved, unmark

LOCK_MS: Final = 1_000
"""For whoever only looks into the file: nodes keep it open, and are not waited for."""
MAX_ROW_BYTES: Final = 1 << 20
"""etcd takes 1.5 MB in one request; what a node writes is below 128 KiB."""
_STRANGE: Final = (
    "SELECT count(*) FROM records WHERE typeof(name) <> 'blob' OR length(name) <> ? "
    "OR typeof(data) <> 'blob' OR length(data) > ? "
    "OR typeof(revision) <> 'integer' OR revision < 1 OR revision > (SELECT revision FROM cluster)"
)


class Source:
    """Nobody else opens the file until it is closed."""

    def __init__(self, path: Path, cluster: str) -> None:
        """Lock the file, and look whether it is sound and that cluster's.

        Raises:
            MigrationError: nodes run on it, or it cannot be moved.
            StartError: it is damaged, newer, another cluster's, or no store.
        """
        schema.check_header(path)
        self._path = path
        try:
            self._connection = schema.connect(path, LOCK_MS, alone=True)
        except sqlite3.Error as error:
            raise self._refusal(error) from None
        with contextlib.ExitStack() as failed:
            failed.callback(self._connection.close)
            try:
                self._connection.execute("PRAGMA query_only = ON")
                self._check(cluster)
            except (sqlite3.Error, msgspec.ValidationError) as error:
                raise self._refusal(error) from None
            failed.pop_all()

    @property
    def moved(self) -> Moved | None:
        """What its mark says; None: it is not marked as moved."""
        return maybe_moved(self._connection)

    def rows(self) -> Iterator[Row]:
        """Return all rows, in the order of revisions."""
        found = self._connection.execute("SELECT name, revision, data FROM records ORDER BY revision")
        return (Row(*row) for row in found)

    def mark(self, moved: Moved) -> None:
        """Mark it as moved."""
        self._write(lambda: mark_moved(self._connection, moved))

    def unmark(self, seen: int) -> None:
        """Make it a store that nodes open.

        Args:
            seen: the highest revision that nodes may remember: the last row gets one above it.
        """
        self._write(lambda: self._unmark(seen))

    def close(self) -> None:
        """Let others have the file."""
        self._connection.close()

    def _check(self, cluster: str) -> None:
        connection = self._connection
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("it is not sound")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version not in (schema.SCHEMA_VERSION, MOVED_VERSION):
            raise MigrationError(
                f"{self._path}: the store has schema version {version}; start and stop a node of this version on it, "
                "which brings it up to date"
            )
        maybe_moved(connection)  # The mark is read here, where damage is said.
        record, mac = schema.read_check_record(connection)
        check_cluster(str(self._path), record, cluster, "the file or the node.toml that was named")
        revision = connection.execute("SELECT revision FROM cluster").fetchone()[0]
        if not isinstance(mac, bytes) or not isinstance(revision, int):
            raise sqlite3.DatabaseError("its check record has not the form of one")
        [strange] = connection.execute(_STRANGE, (NAME_BYTES, MAX_ROW_BYTES)).fetchone()
        if strange:
            raise MigrationError(
                f"{self._path}: {strange} records have not the form that nodes write; restore the store from a backup"
            )
        self.record: CheckRecord = record
        self.mac = mac
        self.revision = revision
        """The last one that was given out."""
        [self.count] = connection.execute("SELECT count(*) FROM records").fetchone()
        """How many rows there are, tombstones among them."""

    def _unmark(self, seen: int) -> None:
        unmark(self._connection, schema.SCHEMA_VERSION)
        if seen > self.revision:
            self._connection.execute("UPDATE cluster SET revision = ?", (seen + 1,))
            self._connection.execute(
                "UPDATE records SET revision = ? WHERE revision = (SELECT max(revision) FROM records)", (seen + 1,)
            )

    def _write(self, work: Callable[[], None]) -> None:
        try:
            self._connection.execute("PRAGMA query_only = OFF")
            self._connection.execute("BEGIN IMMEDIATE")
            work()
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._refusal(error) from None

    def _refusal(self, error: Exception) -> MigrationError:
        if "locked" in str(error) or "busy" in str(error):
            return MigrationError(
                f"{self._path}: nodes run on this store, or another program has it open; stop all of them first"
            )
        if isinstance(error, sqlite3.OperationalError):
            return MigrationError(f"{self._path}: the store cannot be used ({error}); check the folder and its rights")
        return MigrationError(f"{self._path}: the store is damaged ({error}); restore it from a backup")
