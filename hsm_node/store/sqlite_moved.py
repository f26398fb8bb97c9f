"""The mark in an SQLite file whose store was moved to another place: whoever opens it is told where, and goes away.

It is a table, and a version of the schema that no store has, so that programs of before there was the mark refuse the
file as well. Nobody authenticates it: whoever can write the file can put it there or take it away, as they can put an
older copy in the file's place. What nodes have seen tells the one like the other.
"""

import datetime
import sqlite3
from pathlib import Path
from typing import Final

import msgspec

from hsm_daemon.errors import StartError

MOVED_VERSION: Final = 0x4D4F5645
_MAKE: Final = (
    "CREATE TABLE moved (only INTEGER PRIMARY KEY CHECK (only = 1), place TEXT NOT NULL, moment INTEGER NOT NULL)"
)


class Moved(msgspec.Struct, frozen=True):
    """What the mark says."""

    place: str
    """Where the store is now, for people."""
    moment: int
    """When it was moved: seconds since 1970."""

    def __str__(self) -> str:
        when = datetime.datetime.fromtimestamp(self.moment, datetime.UTC)
        return f"{self.place} on {when:%Y-%m-%d %H:%M} UTC"


def maybe_moved(connection: sqlite3.Connection) -> Moved | None:
    """Return the mark; None: the file is a store.

    Raises:
        sqlite3.DatabaseError: the file is damaged.
    """
    if connection.execute("PRAGMA user_version").fetchone()[0] != MOVED_VERSION:
        return None
    found = connection.execute("SELECT place, moment FROM moved").fetchone()
    if found is None or not isinstance(found[0], str) or not isinstance(found[1], int):
        raise sqlite3.DatabaseError("the mark of its move is damaged")
    return Moved(*found)


def mark_moved(connection: sqlite3.Connection, moved: Moved) -> None:
    """Mark the file; within the caller's transaction."""
    connection.execute(_MAKE)
    connection.execute("INSERT INTO moved VALUES (1, ?, ?)", (moved.place, moved.moment))
    connection.execute(f"PRAGMA user_version = {MOVED_VERSION:d}")


def unmark(connection: sqlite3.Connection, version: int) -> None:
    """Make the file a store again, of that version of the schema; within the caller's transaction."""
    connection.execute("DROP TABLE moved")
    connection.execute(f"PRAGMA user_version = {version:d}")


def refusal(path: Path, moved: Moved) -> StartError:
    """Return the line for a node that was started on the file."""
    return StartError(
        f"{path}: the store was moved to {moved}; set [store] of node.toml to that, or bring it back with "
        "`hsmctl store migrate --undo`"
    )
