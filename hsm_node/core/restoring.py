"""What becomes of one record of a backup: made, left alone, or brought back because somebody has named it.

Theory. What the store has is newer than any backup, so a restore adds what is missing and takes nothing away: what
lives stays as it is, and what was destroyed stays destroyed. Both can be told otherwise, by name. A damaged record may
have been a destroyed one, so it is treated like that. A key whose destruction was due by now counts as destroyed.

The record is bound to its store, so it is written anew for the one that it comes to: with that cluster's id and epoch,
and its material wrapped under the master key in use there. Its count of writings only grows, or nodes that have seen
more would take it for an old state.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec

from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import tombstone
from hsm_node.core.object_records import ObjectRecord, open_object
from hsm_node.core.record_table import TableRecord
from hsm_node.core.records import Record, open_record
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


WRITTEN: Final = frozenset({Outcome.MADE, Outcome.BURIED, Outcome.BROUGHT_BACK, Outcome.SET_BACK})
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
GONE: Final = "it was destroyed before the backup was made: an older one may have it"
DUE: Final = "its destruction was due by now; --even-destroyed brings it back, disabled"


class Choice:
    """What of a backup is restored."""

    def __init__(self, choice: RestoreChoice) -> None:
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


class KeyRestoring:
    """Implements `Restoring` for keys."""

    def opened(self, data: bytes, name: bytes, cluster_id: bytes, ring: Keyring) -> Record:
        return open_record(data, name, cluster_id, ring)

    def at_home(self, record: Record, home: Home) -> Record:
        # The count of master keys may be another one there, so the record's number says nothing. Who holds one alone
        # has opened the record with it, and material is wrapped under the same; else it is wrapped anew.
        ring = home.keyring
        wrapped = record.wrapped
        if wrapped and ring.several:
            wrapped = ring.rewrap(wrapped, record.true_length)
        return msgspec.structs.replace(
            record, cluster_id=home.cluster_id, epoch=home.epoch, wrapped=wrapped, master_key_version=ring.version
        )

    def due(self, record: Record, now_s: float) -> bool:
        return 0 < record.destroy_at <= now_s

    def staying(self, record: Record, now_s: float) -> Record:
        return msgspec.structs.replace(record, destroy_at=0, enabled=False) if self.due(record, now_s) else record

    def same(self, record: Record, held: Record) -> bool:
        # RFC 5649 has no chance in it: the same material under the same key is the same bytes.
        comparable = record.master_key_version == held.master_key_version
        return _made_as(record) == _made_as(held) and (not comparable or record.wrapped == held.wrapped)

    def same_state(self, record: Record, held: Record) -> bool:
        return _state(record) == _state(held)

    def buried(self, record: Record) -> Record:
        return record if record.destroyed else tombstone(record, b"")

    def after(self, record: Record, held: Record, now_s: float) -> Record:
        return msgspec.structs.replace(
            self.staying(record, now_s),
            version=held.version + 1,
            sequence=held.order + 1,
            creation_digest=held.creation_digest,
            changes=held.changes,
            uses=max(record.uses, held.uses),
            gcm_leased=max(record.gcm_leased, held.gcm_leased),
        )

    def counted(self, record: Record, order: int) -> Record:
        order = max(order, record.order)
        return msgspec.structs.replace(record, version=max(order, record.version) + 1, sequence=order + 1)

    def set_back(self, record: Record, held: Record, now_s: float) -> Record:
        then = self.staying(record, now_s)
        return msgspec.structs.replace(
            held,
            version=held.version + 1,
            sequence=held.order + 1,
            label=then.label,
            usage=then.usage,
            enabled=then.enabled,
            policy=then.policy,
            destroy_at=then.destroy_at,
        )


class ObjectRestoring:
    """Implements `Restoring` for objects."""

    def opened(self, data: bytes, name: bytes, cluster_id: bytes, ring: Keyring) -> ObjectRecord:
        return open_object(data, name, cluster_id, ring)

    def at_home(self, record: ObjectRecord, home: Home) -> ObjectRecord:
        return msgspec.structs.replace(record, cluster_id=home.cluster_id, epoch=home.epoch)

    def due(self, _record: ObjectRecord, _now_s: float) -> bool:
        return False

    def staying(self, record: ObjectRecord, _now_s: float) -> ObjectRecord:
        return record

    def same(self, record: ObjectRecord, held: ObjectRecord) -> bool:
        return (record.kind, record.created) == (held.kind, held.created)

    def same_state(self, record: ObjectRecord, held: ObjectRecord) -> bool:
        return (record.label, record.value) == (held.label, held.value)

    def buried(self, record: ObjectRecord) -> ObjectRecord:
        return record

    def after(self, record: ObjectRecord, held: ObjectRecord, _now_s: float) -> ObjectRecord:
        return msgspec.structs.replace(
            record,
            version=held.version + 1,
            order=held.order + 1,
            creation_digest=held.creation_digest,
            changes=held.changes,
        )

    def counted(self, record: ObjectRecord, order: int) -> ObjectRecord:
        order = max(order, record.order)
        return msgspec.structs.replace(record, version=max(order, record.version) + 1, order=order + 1)

    def set_back(self, record: ObjectRecord, held: ObjectRecord, _now_s: float) -> ObjectRecord:
        return msgspec.structs.replace(
            held, version=held.version + 1, order=held.order + 1, label=record.label, value=record.value
        )


def _made_as(record: Record) -> tuple[object, ...]:
    return record.key_type, record.true_length, record.created, record.origin, record.public_key


def _state(record: Record) -> tuple[object, ...]:
    return record.label, record.usage, record.enabled, record.policy, record.destroy_at
