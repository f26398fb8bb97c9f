"""The copy of a store in one file: the file itself. It is opened anew for each question, beside the node's own hold."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from hsm_node.core.keyring import Keyring
from hsm_node.store import sqlite_schema as schema
from hsm_node.store.base import PAGE_ROWS, Page, Row, StoreError

BUSY_TIMEOUT_MS: Final = 1_000
"""A reader waits for nobody but a recovery after a crash."""
_ROWS: Final = "SELECT name, revision, data FROM records WHERE name > ? ORDER BY name LIMIT ?"

T = TypeVar("T")


class FileCopy:
    """Implements `OwnCopy`. There is no other place, so it is never behind."""

    def __init__(self, path: Path, cluster_id: bytes) -> None:
        self._path = path
        self._cluster_id = cluster_id

    def newest(self) -> int:
        return self.revision()

    def revision(self) -> int:
        return self._asked(_counter)

    def page(self, after: bytes, revision: int) -> Page:
        del revision  # Rows are never deleted, so a later state has all of an earlier one.

        def read(connection: sqlite3.Connection) -> Page:
            counter = _counter(connection)
            found = connection.execute(_ROWS, (after, PAGE_ROWS + 1)).fetchall()
            rows = [
                Row(bytes(name), at if isinstance(at, int) else 0, data if isinstance(data, bytes) else b"")
                for name, at, data in found[:PAGE_ROWS]
            ]
            return Page(rows, counter, len(found) > PAGE_ROWS)

        return self._asked(read)

    def master_key_version(self, keyring: Keyring) -> int:
        def read(connection: sqlite3.Connection) -> int:
            record, mac = schema.read_check_record(connection)
            if record.cluster_id != self._cluster_id:
                raise StoreError("its check record is another store's")
            return keyring.mac_version(record.authenticated, mac) if isinstance(mac, bytes) else 0

        return self._asked(read)

    def _asked(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with contextlib.closing(schema.connect(self._path, BUSY_TIMEOUT_MS)) as connection:
                return read(connection)
        except (sqlite3.Error, msgspec.ValidationError, TypeError, ValueError) as error:
            raise StoreError(f"{self._path} cannot be read ({error})") from None


def _counter(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT revision FROM cluster").fetchone()[0])
