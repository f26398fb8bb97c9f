"""What was listed and watched -> rows for the node, and where to go on.

Theory. The node holds all rows, so what it needs is each change, once, in the order of revisions. A list at revision R
says what there is; the watch from R + 1 on says what becomes of it. The watch is of the whole key space, so that every
revision shows, and only the revision of an event moves the place from which a watch is resumed. If the engine has
compacted that place away, everything is listed again and compared with what was known: what is newer is given, and what
is gone is given as a row without data, which nobody takes for authentic. Records are never deleted by us, so a row that
was deleted is damage, and shows as such.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from hsm_node.store.base import ReplacedStoreError, Row
from hsm_node.store.etcd.faults import older_state
from hsm_node.store.etcd.transactions import name_of

MAX_GIVEN_ROWS: Final = 20_000
"""Rows that wait for the node: about 20 MB. Beyond it the watch is not read until they were taken."""


class Change(NamedTuple):
    """An event of the watch."""

    key: bytes
    revision: int
    data: bytes | None
    """None: the key was deleted."""


class FollowState:
    """Called by one thread at a time; the driver holds the lock."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[bytes, int] = {}
        self._waiting: list[Row] = []
        self.arrived = 0
        """All that happened up to this revision is known; a watch goes on behind it."""

    @property
    def waiting(self) -> int:
        """Rows that the node has not taken."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether the node should take rows before more are read."""
        return len(self._waiting) >= MAX_GIVEN_ROWS

    def take(self) -> list[Row]:
        """Return the rows that were not taken yet, in the order of revisions."""
        taken, self._waiting = self._waiting, []
        return taken

    def listed(self, changes: Iterable[Change], revision: int) -> int:
        """Compare what is known with all that there is at that revision; return how many rows that gave.

        Raises:
            ReplacedStoreError: a row there is another one than was known, or of a revision that is still to come.
        """
        if revision < self.arrived:
            raise older_state(revision, self.arrived)
        present: dict[bytes, int] = {}
        fresh: list[Row] = []
        for change in changes:
            name = name_of(change.key)
            if name is None or change.data is None:
                continue
            present[name] = change.revision
            if self._known.get(name) != change.revision:
                fresh.append(Row(name, change.revision, change.data))
        fresh.sort(key=lambda row: row.revision)
        if fresh and (fresh[0].revision <= self.arrived or fresh[-1].revision > revision):
            raise ReplacedStoreError(
                f"a row of revision {fresh[0].revision} is not the one that this node has seen: another state of the "
                "store stands in its place; bring its own back, or start the node again to use this one"
            )
        gone = [Row(name, revision, b"") for name in self._known if name not in present]
        self._known = present
        self._waiting += fresh + gone
        self.arrived = revision
        return len(fresh) + len(gone)

    def watched(self, changes: Iterable[Change]) -> int:
        """Take the events of one answer; return how many rows they gave.

        What was known already (a watch that was resumed says it again) gives none.
        """
        before = len(self._waiting)
        floor = self.arrived
        for change in sorted(changes, key=lambda change: change.revision):
            if change.revision <= floor:
                continue
            self.arrived = change.revision
            name = name_of(change.key)
            if name is None:
                continue
            if change.data is None:
                self._known.pop(name, None)
            else:
                self._known[name] = change.revision
            self._waiting.append(Row(name, change.revision, change.data or b""))
        return len(self._waiting) - before
