"""`usage.db` in the state directory: what partitions have used, as far as this node has counted or heard.

It is no secret and proves nothing: who can write it can write the node's other files. A file that is damaged is put
aside, because what was in it is known to proxies and other nodes too.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hsm_cluster.usage import Row

FILE_NAME: Final = "usage.db"
APPLICATION_ID: Final = 0x52445541
SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_MS: Final = 2_000
"""How long to wait for a predecessor that is writing its last rows."""
_SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE used (node TEXT, partition INTEGER, period INTEGER, signatures INTEGER NOT NULL,
    generations INTEGER NOT NULL, PRIMARY KEY (node, partition, period)) WITHOUT ROWID;
"""
_WRITE: Final = """
INSERT INTO used VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    signatures = max(signatures, excluded.signatures), generations = max(generations, excluded.generations)
"""


class UsageFileError(Exception):
    """It could not be read or written. The text is for the log."""


class UsageFile:
    """The file of one node. Used by one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._connection: sqlite3.Connection | None = None

    def load(self) -> list[Row]:
        """Return what is kept; nothing where there is no file yet.

        Raises:
            UsageFileError: it cannot be read, and was put aside.
        """
        if not self._path.exists():
            return []
        try:
            return [Row(*row) for row in self._open().execute("SELECT * FROM used")]
        except sqlite3.Error as error:
            self.close()
            aside = self._path.with_suffix(".damaged")
            self._path.replace(aside)
            raise UsageFileError(f"{self._path}: {error}; it is {aside.name} now") from None

    def write(self, rows: Iterable[Row], oldest: int) -> None:
        """Keep these rows, and none of before that period.

        Raises:
            UsageFileError: nothing was written.
        """
        try:
            connection = self._open()
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_WRITE, rows)
                connection.execute("DELETE FROM used WHERE period < ?", (oldest,))
        except sqlite3.Error as error:
            self.close()
            raise UsageFileError(f"{self._path}: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._connection = connection
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS:d}")
            form = tuple(
                connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
            )
            if form == (0, 0):
                connection.executescript(_SCHEMA)
            elif form != (APPLICATION_ID, SCHEMA_VERSION):
                raise sqlite3.DatabaseError("it is no file of this version")
        return self._connection
