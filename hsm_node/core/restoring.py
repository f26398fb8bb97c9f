"""What becomes of one record of a backup: made, left alone, or brought back because somebody has named it.

Theory. What the store has is newer than any backup, so a restore adds what is missing and takes nothing away: what
lives stays as it is, and what was destroyed stays destroyed. Both can be told otherwise, by name. A damaged record may
have been a destroyed one, so it is treated like that. A key whose destruction was due by now counts as destroyed.

The record is bound to its store, so it is written anew for the one that it comes to: with that cluster's id and epoch,
and its material wrapped under the master key in use there. Its count of writings only grows, or nodes that have seen
more would take it for an old state.

The records of a side that a promotion has left behind are no backup: that side went on, or may have. So in a choice
that `joins`, its tombstones hold here too, and of what lives on both sides the stricter state of both does.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple, Protocol, TypeVar

from hsm_node.core.keyring import Keyring
from hsm_node.core.reconciling import is_older
from hsm_node.core.record_table import TableRecord
from hsm_wire.backup_messages import RestoreChoice


class Outcome(StrEnum):
    """What comes of a record, as the report has it."""

    MADE = "made"
    BURIED = "made, destroyed"
    """The store knows nothing of it, and it was destroyed: its id stays used up."""
    THERE = "there"
    BROUGHT_BACK = "brought back"
    SET_BACK = "set back"
    CHANGED_SINCE = "changed since"
    DESTROYED_SINCE = "destroyed since"
    LIVES = "lives here"
    """It is destroyed in the backup."""
    OTHER = "another one"
    DAMAGED = "damaged here"
    UNREADABLE = "unreadable"
    NOT_CHOSEN = "not chosen"
    DESTROYED = "destroyed"
    """The side that was left behind has destroyed it."""
    JOINED = "stricter"
    """It gets the stricter state of both sides."""
    CONFLICT = "conflict"
    """It was changed on both sides, and is as strict here as it would be."""


WRITTEN: Final = frozenset(
    {Outcome.MADE, Outcome.BURIED, Outcome.BROUGHT_BACK, Outcome.SET_BACK, Outcome.DESTROYED, Outcome.JOINED}
)
"""Outcomes by which the store changes."""
DETAILS: Final = {
    Outcome.BROUGHT_BACK: "it was destroyed or damaged, and works again",
    Outcome.SET_BACK: "state, label, usages and policy are those of the backup again",
    Outcome.CHANGED_SINCE: "it was changed after the backup and stays as it is; --even-changed sets it back",
    Outcome.DESTROYED_SINCE: "it was destroyed after the backup and stays so; --even-destroyed brings it back",
    Outcome.LIVES: "it is destroyed in the backup, lives in the store and stays so",
    Outcome.OTHER: "another key or object of the store has this id, and stays",
    Outcome.DAMAGED: "its record in the store is damaged and stays; --even-destroyed replaces it",
    Outcome.UNREADABLE: "its record in the backup does not open under the master keys of this node",
}
"""What is said of a record beside its id, where one would ask."""
JOINING: Final = {
    Outcome.MADE: "only the old side has it",
    Outcome.BURIED: "only the old side knows it, and it is destroyed there",
    Outcome.DESTROYED: "the old side destroyed it",
    Outcome.DESTROYED_SINCE: "it is destroyed here and stays so",
    Outcome.JOINED: "the old side changed it, and its change holds as far as it is stricter",
    Outcome.CONFLICT: "the old side changed it as well; what is here stays, for it is as strict or of another kind",
    Outcome.OTHER: "another key or object of this side has this id, and stays; the old side's is not taken",
    Outcome.DAMAGED: "this side's record is damaged, or was seen newer than the old side has it; nothing is taken",
    Outcome.UNREADABLE: "its record does not authenticate under the master keys of this node and is not taken",
}
"""The same, of records of a side that was left behind."""
GONE: Final = "it was destroyed before the backup was made: an older one may have it"
DUE: Final = "its destruction was due by now; --even-destroyed brings it back, disabled"


class Choice:
    """What of a backup is restored."""

    def __init__(self, choice: RestoreChoice, *, joins: bool = False) -> None:
        """Choose; `joins`: what is read is the side that a promotion has left behind, not a backup."""
        self.joins = joins
        self.details = JOINING if joins else DETAILS
        """What is said of outcomes."""
        self._names = _names(choice.names)
        self._partition = choice.partition
        self._even_destroyed = _names(choice.even_destroyed)
        self._even_changed = _names(choice.even_changed)
        self._met: set[str] = set()

    def takes(self, record: TableRecord) -> bool:
        """Whether that record is to be restored; who names it elsewhere has chosen it too."""
        found = self._met_by(record, self._names)
        named = self.even_destroyed(record) or self.even_changed(record)
        if self._partition not in (0, record.place[0]):
            return False
        return found or named or not self._names

    def even_destroyed(self, record: TableRecord) -> bool:
        """Whether it is to be brought back."""
        return self._met_by(record, self._even_destroyed)

    def even_changed(self, record: TableRecord) -> bool:
        """Whether it is to become as it was."""
        return self._met_by(record, self._even_changed)

    @property
    def unknown(self) -> list[str]:
        """Names that no record had so far."""
        return sorted((self._names | self._even_destroyed | self._even_changed) - self._met)

    def _met_by(self, record: TableRecord, names: frozenset[str]) -> bool:
        found = names & {record.place[1].hex(), record.label}
        self._met |= found
        return bool(found)


def _names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


class Home(NamedTuple):
    """The store that a backup comes to."""

    cluster_id: bytes
    epoch: int
    keyring: Keyring


R = TypeVar("R", bound=TableRecord)


class Restoring(Protocol[R]):
    """What is peculiar to one kind of records."""

    def opened(self, data: bytes, name: bytes, cluster_id: bytes, ring: Keyring) -> R:
        """Return the record of a row of the backup, or raise RecordError."""

    def at_home(self, record: R, home: Home) -> R:
        """Return the record as it is in another store; raises KeyringError where its material does not open."""

    def due(self, record: R, now_s: float) -> bool:
        """Whether its destruction was due."""

    def staying(self, record: R, now_s: float) -> R:
        """Return it as it may stay: what was due would be destroyed at once."""

    def same(self, record: R, held: R) -> bool:
        """Whether both are the same thing, whatever its state; `record` is at home."""

    def same_state(self, record: R, held: R) -> bool:
        """Whether that thing is in the same state."""

    def buried(self, record: R) -> R:
        """Return the tombstone of a record."""

    def after(self, record: R, held: R, now_s: float) -> R:
        """Return the record behind a tombstone, at home."""

    def counted(self, record: R, order: int) -> R:
        """Return it with a larger count of writings, as if it had been changed."""

    def set_back(self, record: R, held: R, now_s: float) -> R:
        """Return what lives with the state of the backup."""

    def ended(self, held: R) -> R:
        """Return the tombstone of what lives."""

    def joined(self, record: R, held: R) -> R:
        """Return what lives with the stricter state of both; `held` itself where that is it."""


class Decision(NamedTuple):
    """What is to be done."""

    outcome: Outcome
    detail: str = ""


def decide(kind: Restoring[R], record: R, held: R | None, choice: Choice, now_s: float, *, damaged: bool) -> Decision:
    """Say what becomes of a record.

    Args:
        kind: of it.
        record: of the backup, at home.
        held: what the store has under its name; None: nothing.
        choice: what somebody has named.
        now_s: seconds since 1970.
        damaged: whether the store has one there that must not be used.
    """
    if choice.joins:
        return _decide_joining(kind, record, held, now_s, damaged=damaged)
    return _decide_restoring(kind, record, held, choice, now_s, damaged=damaged)


def _decide_restoring(
    kind: Restoring[R], record: R, held: R | None, choice: Choice, now_s: float, *, damaged: bool
) -> Decision:
    named = choice.even_destroyed(record)
    if damaged:
        return _told(Outcome.BROUGHT_BACK if named and not record.destroyed else Outcome.DAMAGED)
    if held is None:
        if record.destroyed:
            return Decision(Outcome.BURIED, GONE if named else "")
        if kind.due(record, now_s) and not named:
            return Decision(Outcome.BURIED, DUE)
        return Decision(Outcome.MADE)
    if held.destroyed:
        if record.destroyed:
            return Decision(Outcome.THERE, GONE if named else "")
        return _told(Outcome.BROUGHT_BACK if named else Outcome.DESTROYED_SINCE)
    if record.destroyed:
        return _told(Outcome.LIVES)
    if not kind.same(record, held):
        return _told(Outcome.OTHER)
    if kind.same_state(record, held):
        return Decision(Outcome.THERE)
    return _told(Outcome.SET_BACK if choice.even_changed(record) else Outcome.CHANGED_SINCE)


def _told(outcome: Outcome) -> Decision:
    return Decision(outcome, DETAILS[outcome])


def _decide_joining(kind: Restoring[R], record: R, held: R | None, now_s: float, *, damaged: bool) -> Decision:
    if damaged:
        outcome = Outcome.DAMAGED
    elif held is None:
        outcome = Outcome.BURIED if record.destroyed or kind.due(record, now_s) else Outcome.MADE
    elif held.destroyed:
        outcome = Outcome.THERE if record.destroyed else Outcome.DESTROYED_SINCE
    elif not kind.same(record, held):
        outcome = Outcome.OTHER
    elif record.destroyed:
        outcome = Outcome.DESTROYED
    elif kind.joined(record, held) is not held:
        outcome = Outcome.JOINED
    else:
        known = is_older(record, held) or kind.same_state(record, held)
        outcome = Outcome.THERE if known else Outcome.CONFLICT
    return Decision(outcome, JOINING.get(outcome, ""))


def joined(kind: Restoring[R], record: R, held: R | None, outcome: Outcome, now_s: float) -> R:
    """Return what is written of a record of a side that was left behind, where that changes the store.

    It counts as newer than on either side, for nodes of both have seen theirs.
    """
    if held is None:
        there = kind.buried(record) if outcome is Outcome.BURIED else kind.staying(record, now_s)
        return kind.counted(there, there.order)
    there = kind.ended(held) if outcome is Outcome.DESTROYED else kind.joined(record, held)
    return kind.counted(there, max(record.order, held.order))
