"""All rows of the embedded store as of one moment: one read transaction, which sees no commit that comes after it.

While it is open the file's log cannot be cleared behind it, so whoever has one asks for its rows without a pause.
"""

import sqlite3
from pathlib import Path
from typing import Final

from hsm_node.store import sqlite_schema as schema
from hsm_node.store.base import Row, StoreError

PAGE_ROWS: Final = 200
"""Read at a time: at most 13 MB, should all be objects of full size."""


class SqliteSnapshot:
    """Implements `Snapshot`."""

    def __init__(self, path: str) -> None:
        """Begin the transaction.

        Raises:
            StoreError: the file cannot be read.
        """
        try:
            self._connection = schema.connect(Path(path), schema.BUSY_TIMEOUT_MS)
        except sqlite3.Error as error:
            raise StoreError(str(error)) from None
        try:
            self._connection.execute("BEGIN")
            self.revision = int(self._connection.execute("SELECT revision FROM cluster").fetchone()[0])
            self._rows = self._connection.execute("SELECT name, revision, data FROM records ORDER BY name")
        except (sqlite3.Error, TypeError, ValueError) as error:  # The last two: there is no check record, or no number.
            self.close()
            raise StoreError(str(error)) from None

    def read(self) -> list[Row]:
        try:
            return [sound_row(*found) for found in self._rows.fetchmany(PAGE_ROWS)]
        except sqlite3.Error as error:
            raise StoreError(str(error)) from None

    def close(self) -> None:
        self._connection.close()


def sound_row(name: object, revision: object, data: object) -> Row:
    """Return the row; what is no bytes becomes empty bytes, which nobody takes for authentic."""
    return Row(
        name if isinstance(name, bytes) else b"",
        revision if isinstance(revision, int) else 0,
        data if isinstance(data, bytes) else b"",
    )
