"""The embedded store: one SQLite file, shared by the nodes of one host.

Theory of rule 3 (a destroyed, disabled or restricted key serves no request that follows the answer). A commit is
visible to every other connection to the file at once, and every node looks at `PRAGMA data_version` after the bytes
of requests arrived and before it serves them. A request that follows the answer to a change arrives after its
commit, so it is served by the new state on whichever node. A node whose look fails serves no key at all
(NOT_CURRENT). So a commit is its own confirmation, no lease is ever waited for, and `unconfirmed` is always empty.

Two connections: the reader is used on the event loop and never writes, the writer in the store's thread.
"""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from hsm_node.core.keyring import Keyring
from hsm_node.store import sqlite_schema as schema
from hsm_node.store.base import Row, StoreError

READ_BUSY_TIMEOUT_MS: Final = 50
"""In WAL mode a reader waits for nobody but a recovery after a crash; the event loop stands still meanwhile."""

T = TypeVar("T")


class SqliteStore:
    """Implements `Store`."""

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
        self.cluster_id = row.cluster_id
        self.epoch = row.epoch
        self._seen_version = -1
        self._writing = threading.Lock()
        """Held by a transaction: `close` on the loop must not pull the file away from under the writer's thread."""

    def changed(self) -> bool:
        try:
            version = self._reader.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as error:
            self._seen_version = -1
            raise StoreError(str(error)) from None
        if version == self._seen_version:
            return False
        self._seen_version = version
        return True

    def rows_after(self, revision: int) -> list[Row]:
        try:
            found = self._reader.execute(
                "SELECT name, revision, data FROM records WHERE revision > ? ORDER BY revision", (revision,)
            ).fetchall()
        except sqlite3.Error as error:
            self._seen_version = -1  # What was not read must be read next time.
            raise StoreError(str(error)) from None
        if not all(isinstance(name, bytes) and isinstance(data, bytes) for name, _, data in found):
            self._seen_version = -1
            raise StoreError("a row of the store has no bytes where bytes belong; restore it from a backup")
        return [Row(*row) for row in found]

    def create(self, name: bytes, data: bytes) -> Row:
        return self._transaction(lambda: self._create(name, data))

    def change(self, name: bytes, revision: int, data: bytes) -> Row | None:
        return self._transaction(lambda: self._change(name, revision, data))

    def unconfirmed(self, revision: int) -> list[str]:
        del revision  # Every node reads the file before it serves: see the theory above.
        return []

    def close(self) -> None:
        with self._writing:  # At most one transaction long: nothing is begun on what is closed.
            self._writer.close()
        self._reader.close()

    def _create(self, name: bytes, data: bytes) -> Row:
        found = self._writer.execute("SELECT name, revision, data FROM records WHERE name = ?", (name,)).fetchone()
        if found is not None:
            return Row(*found)
        row = Row(name, self._next_revision(), data)
        self._writer.execute("INSERT INTO records VALUES (?, ?, ?)", (row.name, row.revision, row.data))
        return row

    def _change(self, name: bytes, revision: int, data: bytes) -> Row | None:
        row = Row(name, self._next_revision(), data)
        done = self._writer.execute(
            "UPDATE records SET revision = ?, data = ? WHERE name = ? AND revision = ?",
            (row.revision, data, name, revision),
        )
        return row if done.rowcount == 1 else None

    def _next_revision(self) -> int:
        self._writer.execute("UPDATE cluster SET revision = revision + 1")
        return int(self._writer.execute("SELECT revision FROM cluster").fetchone()[0])

    def _transaction(self, work: Callable[[], T]) -> T:
        with self._writing:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    result = work()
                    self._writer.execute("COMMIT")
                except BaseException:
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreError(str(error)) from None
        return result
