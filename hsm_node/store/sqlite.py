"""The embedded store: one SQLite file, shared by the nodes of one host.

Theory of rule 3 (a destroyed, disabled or restricted key serves no request that follows the answer). A commit is
visible to every other connection to the file at once, and every node looks at `PRAGMA data_version` after the bytes
of requests arrived and before it serves them. A request that follows the answer to a change arrives after its
commit, so it is served by the new state on whichever node. A node whose look fails serves no key at all
(NOT_CURRENT). So a commit is its own confirmation, no lease is ever waited for, and `unconfirmed` is always empty.

Two connections: the reader is used on the event loop and never writes, the writer in the store's thread.

Whoever can write the folder can put an older copy of the file in its place, and a connection goes on reading the file
that it opened. So each look compares the file at the path with the one that was opened, and the revision counter
with what was followed; a node that finds another store serves no key until its own is back or it was started anew.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec

from hsm_cluster.address import Address
from hsm_daemon import clock
from hsm_node.core.keyring import Keyring
from hsm_node.store import sqlite_schema as schema
from hsm_node.store.base import Lag, Removal, ReplacedStoreError, Row, StoreError
from hsm_node.store.check_record import CheckRecord, make_check_record
from hsm_node.store.sqlite_copy import FileCopy
from hsm_node.store.sqlite_snapshot import SqliteSnapshot, sound_row

READ_BUSY_TIMEOUT_MS: Final = 50
"""In WAL mode a reader waits for nobody but a recovery after a crash; the event loop stands still meanwhile."""

T = TypeVar("T")


class SqliteStore:
    """Implements `Store`."""

    writers = 1
    serves_stale = False
    members: Final[Mapping[str, str]] = MappingProxyType({})
    fenced = False
    outlived = False
    registered: Final[Collection[str]] = ()
    out: Final[Collection[str]] = ()
    refused_statements = 0

    def __init__(self, path: Path, cluster: str, keyring: Keyring) -> None:
        """Open the store, make it where there is none.

        Raises:
            StartError: it is damaged, newer, another cluster's, or of another master key; nothing was written.
        """
        if not path.exists():
            schema.make_store(path, cluster, keyring)
        schema.check_header(path)
        self._reader = schema.connect_checked(path)
        try:
            row = schema.check_content(path, self._reader, cluster, keyring)
        except BaseException:
            self._reader.close()
            raise
        self._reader.execute(f"PRAGMA busy_timeout = {READ_BUSY_TIMEOUT_MS:d}")
        self._writer = schema.connect(path, schema.BUSY_TIMEOUT_MS)
        self._path = os.fspath(path)
        self._file = _identity(self._path)
        self._row = row
        self._highest = 0
        """Revision that was read or written: a file whose counter is lower is an older copy."""
        self._given = 0
        """Revision that the transaction gave out."""
        self.cluster_id = row.cluster_id
        self.epoch = row.epoch
        self.copy = FileCopy(path, row.cluster_id)
        self.promoted = False
        self.contact: float | None = None
        self._seen_version = -1
        self._writing = threading.Lock()
        """Held by a transaction: `close` on the loop must not pull the file away from under the writer's thread."""

    def vouch(self) -> None:
        pass  # There is no DR site.

    def promote(self, keyring: Keyring, gone: Collection[str], epoch: int = 0) -> None:
        del keyring, gone, epoch
        raise StoreError("a store of one host has no disaster recovery site")

    def has_dr_member(self) -> bool:
        return True  # It has none at all.

    @property
    def seen_epoch(self) -> int:
        return self.epoch

    def demote(self, keyring: Keyring) -> None:
        del keyring
        raise StoreError("a store of one host has no disaster recovery site")

    def lag(self) -> Lag:
        return Lag({}, {})

    def both_sides(self) -> None:
        return None  # There is one.

    def left_behind(self) -> None:
        return None

    def tell(self, arrived: Callable[[], object]) -> None:
        del arrived  # Every node looks before it serves.

    def changed(self) -> bool:
        self._check_file()
        begun = clock.boottime()
        try:
            version = self._reader.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as error:
            self._seen_version = -1
            raise StoreError(str(error)) from None
        if version == self._seen_version:
            self.contact = begun
            return False
        self._seen_version = version
        return True

    def rows_after(self, revision: int) -> list[Row]:
        seen_version, self._seen_version = self._seen_version, -1  # What was not read must be read next time.
        begun = clock.boottime()
        known = max(revision, self._highest)  # Before the look: the writer's thread may go on meanwhile.
        try:
            found = self._reader.execute(
                "SELECT name, revision, data FROM records WHERE revision > ? ORDER BY revision", (revision,)
            ).fetchall()
            # Read after the rows, so it is never below theirs.
            counter = self._reader.execute("SELECT revision FROM cluster").fetchone()[0]
        except (sqlite3.Error, TypeError) as error:  # TypeError: there is no check record any more.
            raise StoreError(str(error)) from None
        if not isinstance(counter, int) or counter < known:
            raise ReplacedStoreError(
                f"its revision is {counter}, this node has seen {known}: an older copy stands in its place; "
                "put the newer one back, or start the node again to use this one"
            )
        self._seen_version = seen_version
        self.contact = begun
        self._highest = max(self._highest, counter)
        return _in_order(found, revision, counter)

    def applied(self) -> None:
        """Nobody asks."""

    def catch_up(self) -> None:
        self._check_file()  # A commit shows at the next look.

    def read(self, name: bytes) -> Row | None:
        with self._writing:
            self._check_file()
            try:
                return self._read(name)  # Without a transaction: it waits for no writer, and sees the last commit.
            except sqlite3.Error as error:
                raise StoreError(str(error)) from None

    def master_key_version(self, keyring: Keyring) -> int:
        with self._writing:
            self._check_file()
            try:
                return self._version_in_use(keyring)
            except sqlite3.Error as error:
                raise StoreError(str(error)) from None

    def reseal(self, keyring: Keyring, version: int, unchanged: Mapping[bytes, int]) -> bool:
        record = make_check_record(self._row, keyring, version)
        return self._transaction(lambda: self._reseal(record, keyring, unchanged))

    def snapshot(self) -> SqliteSnapshot:
        self._check_file()
        return SqliteSnapshot(self._path)

    def create(self, name: bytes, data: bytes) -> Row:
        return self._transaction(lambda: self._create(name, data))

    def change(self, name: bytes, revision: int, data: bytes, *, waits: bool = False) -> Row | None:
        del waits
        return self._transaction(lambda: self._change(name, revision, data))

    def unconfirmed(self, revision: int) -> "Future[list[str]]":
        del revision  # Every node reads the file before it serves: see the theory above.
        nobody: Future[list[str]] = Future()
        nobody.set_result([])
        return nobody

    def copied(self, revision: int) -> "Future[bool]":
        raise StoreError(f"revision {revision} is in a file, which has no member at a DR site")

    def remove(self, node: str) -> Removal:
        del node  # None registers: see `unconfirmed`.
        return Removal.ABSENT

    def renew(self, endpoints: Sequence[Address] = ()) -> None:
        """It shows itself to nobody."""

    def stopped(self) -> None:
        """Nobody waits for it."""

    def close(self) -> None:
        with self._writing:  # At most one transaction long: nothing is begun on what is closed.
            self._writer.close()
        self._reader.close()

    def _reseal(self, record: CheckRecord, keyring: Keyring, unchanged: Mapping[bytes, int]) -> bool:
        for name, revision in unchanged.items():
            row = self._read(name)
            if row is None or row.revision != revision:
                return False
        version = self._version_in_use(keyring)
        if not version:  # Nothing is put over what cannot be opened: it may be newer, or a sign of an attack.
            raise StoreError("its check record is damaged, or under a master key that this node does not hold")
        if version < record.master_key_version:
            schema.write_check_record(self._writer, record, keyring)
        return True

    def _version_in_use(self, keyring: Keyring) -> int:
        try:
            return schema.version_in_use(self._writer, keyring)
        except msgspec.ValidationError as error:
            raise StoreError(f"its check record has not the form of one ({error})") from None

    def _create(self, name: bytes, data: bytes) -> Row:
        found = self._read(name)
        if found is not None:
            return found
        row = Row(name, self._next_revision(), data)
        self._writer.execute("INSERT INTO records VALUES (?, ?, ?)", (row.name, row.revision, row.data))
        return row

    def _read(self, name: bytes) -> Row | None:
        found = self._writer.execute("SELECT name, revision, data FROM records WHERE name = ?", (name,)).fetchone()
        return None if found is None else sound_row(*found)

    def _change(self, name: bytes, revision: int, data: bytes) -> Row | None:
        row = Row(name, self._next_revision(), data)
        done = self._writer.execute(
            "UPDATE records SET revision = ?, data = ? WHERE name = ? AND revision = ?",
            (row.revision, data, name, revision),
        )
        return row if done.rowcount == 1 else None

    def _next_revision(self) -> int:
        self._writer.execute("UPDATE cluster SET revision = revision + 1")
        revision = self._writer.execute("SELECT revision FROM cluster").fetchone()[0]
        if not isinstance(revision, int):  # One more than the largest integer is a real number to SQLite.
            raise StoreError("its revision is none that a row can have: somebody else wrote it; put back a copy of it")
        if revision <= self._highest:
            raise ReplacedStoreError(
                f"its revision would be {revision}, but {self._highest} was there: it is an older copy"
            )
        self._given = revision
        return revision

    def _check_file(self) -> None:
        if _identity(self._path) != self._file:
            self._seen_version = -1
            raise ReplacedStoreError(
                f"{self._path} is another file than the one that this node opened, or gone; put that one back, or "
                "start the node again to use this one"
            )

    def _transaction(self, work: Callable[[], T]) -> T:
        with self._writing:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    self._check_file()
                    result = work()
                    self._writer.execute("COMMIT")
                    self._highest = max(self._highest, self._given)
                except BaseException:
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreError(str(error)) from None
            self._check_file()  # Replaced meanwhile: who follows the new file does not see what was just written.
        return result


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells the file at a path from another one that is renamed there."""
    try:
        status = os.stat(path)  # A Path takes three times as long, and this is on the way of every request.
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _in_order(found: list[tuple[object, object, object]], after: int, counter: int) -> list[Row]:
    """Return the rows; one whose revision was never given out counts as damaged, and moves nobody's revision."""
    rows: list[Row] = []
    last = after
    for name, revision, data in found:
        if isinstance(revision, int) and revision <= counter:
            last = revision
            rows.append(sound_row(name, last, data))
        else:
            rows.append(sound_row(name, last, b""))
    return rows
