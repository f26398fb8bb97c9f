"""How much of a side that a promotion has left behind the other one lacks: what DR_RECONCILE would change there.

Theory. A node of that side has the keys of both, and reaches members of both, or it would not know that it was left
behind. Both stores give their rows in the order of names, so one page of each is in memory. What is the same in both
says nothing; all else is opened, and decided as DR_RECONCILE would.
"""

from collections.abc import Iterator
from typing import Any, Final

from hsm_daemon import clock
from hsm_node.core.envelopes import RecordError, format_of
from hsm_node.core.keyring import Keyring, KeyringError
from hsm_node.core.refusal import Refusal
from hsm_node.core.restoring import WRITTEN, Choice, Home, decide
from hsm_node.service.backup_readings import Kind, Kinds
from hsm_node.store.base import Row, Snapshot, Store
from hsm_wire.backup_messages import RestoreChoice
from hsm_wire.statuses import Status

_ALL: Final = Choice(RestoreChoice(), joins=True)


class Unjoined:
    """Of one node."""

    def __init__(self, store: Store, keyring: Keyring, kinds: Kinds) -> None:
        self._store = store
        self._keyring = keyring
        self._kinds = kinds

    def count(self) -> int:
        """Return how many records that are. In a thread, for it reads both stores.

        Raises:
            Refusal: not both can be read.
            StoreError: a member failed while it was read.
        """
        both = self._store.both_sides()
        if both is None:
            text = "no member of each side answers: the one of the promoted store, and one that was left behind"
            raise Refusal(Status.BAD_REQUEST, text)
        old, new = both
        home = Home(self._store.cluster_id, new.epoch, self._keyring)
        return sum(self._is_news(row, there, home) for row, there in _pairs(old.snapshot, new.snapshot))

    def _is_news(self, row: Row, there: Row | None, home: Home) -> bool:
        """Whether that row of the old side would change the other one, which has `there`."""
        kind: Kind | None = self._kinds.by_format.get(format_of(row.data))
        if kind is None or (there is not None and there.data == row.data):
            return False
        try:
            record = kind.restoring.at_home(kind.rows.open(row), home)
        except (RecordError, KeyringError):
            return False  # DR_RECONCILE does not take it either, and names it.
        held, damaged = _held(kind, there)
        return decide(kind.restoring, record, held, _ALL, clock.now(), damaged=damaged).outcome in WRITTEN


def _held(kind: Kind, row: Row | None) -> tuple[Any, bool]:
    """Return the record that is there, and whether that must not be used."""
    if row is None:
        return None, False
    try:
        return kind.rows.open(row), False
    except RecordError:
        return None, True


def _pairs(old: Snapshot, new: Snapshot) -> Iterator[tuple[Row, Row | None]]:
    """Return the rows of the old side, each with that of the same name of the new one."""
    others = _rows(new)
    other = next(others, None)
    for row in _rows(old):
        while other is not None and other.name < row.name:
            other = next(others, None)
        yield row, other if other is not None and other.name == row.name else None


def _rows(snapshot: Snapshot) -> Iterator[Row]:
    while rows := snapshot.read():
        yield from rows
