"""Follows the store: before each batch of requests, the node's records are those that the store has."""

from collections import Counter
from typing import Any, TypeVar

import msgspec

from hsm_daemon import clock, logs
from hsm_daemon.log_limit import LimitedLog
from hsm_node.core.confirmations import CURRENT_S
from hsm_node.core.envelopes import Reason, RecordError, open_envelope
from hsm_node.core.key_table import Entry as KeyEntry
from hsm_node.core.keyring import Keyring
from hsm_node.core.ledger import Ledger, Verdict
from hsm_node.core.record_table import Entry, TableRecord
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_node.core.rotation import Leftovers
from hsm_node.service.arrived_rows import ArrivedRows
from hsm_node.service.record_rows import RecordRows
from hsm_node.service.row_kinds import Known, RowKind, RowKinds, Written
from hsm_node.store.base import HaltedStoreError, ReplacedStoreError, Row, Store, StoreError
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag

_log = logs.logger("hsm_node.follower")
_refused = LimitedLog(_log, 10)
"""With a wrong master key, or a forged store, it is every record: `hsm_node_records_refused` counts them."""
_RESTORED = "stop the node and remove seen.db from its state_dir"

_STRICT = int(PolicyFlag.STRICT)

R = TypeVar("R", bound=Written)
T = TypeVar("T", bound=TableRecord)
E = TypeVar("E", bound=Known)


class RefusedRow(msgspec.Struct, frozen=True):
    """A row that is not authentic, and the revision under which an operator's change may replace it (0: it is gone)."""

    text: str
    revision: int
    reason: Reason


class Follower:
    """Has what is newer in the store taken by its kind. A record that is not authentic, or older than one that was
    seen, is refused, counted and named in the log; all others go on."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        keys: RecordRows[Record],
        *others: RowKind[Any, Any],
        ledger: Ledger | None = None,
    ) -> None:
        """Follow from the start of the store.

        Args:
            store: that is followed.
            keyring: that its rows are authenticated with.
            keys: the kind of rows that most requests are about.
            others: kinds of rows beside them.
            ledger: what was seen in earlier lives; None: nothing was.
        """
        self._store = store
        self._keyring = keyring
        self._keys = keys
        self._kinds = RowKinds(keys, *others)
        self.ledger = Ledger(keyring.ledger_mac, store.cluster_id) if ledger is None else ledger
        """What this node has seen, also in earlier lives. At `applied_revision` its digest is every node's."""
        self._loaded = False
        self._listed: set[bytes] = set()
        """Names of the rows that the first look found, until all are applied."""
        self.leftovers = Leftovers(keyring)
        """Rows that are under another master key than the one in use."""
        self.refused: dict[bytes, RefusedRow] = {}
        """Names of rows that must not be used."""
        self.applied_revision = 0
        self._contact: float | None = None
        """As of the last look into the store; None: that failed."""
        self._doubted = 0.0
        """When the process last stood still: a contact from before proves nothing any more."""
        self._arrived = ArrivedRows(keyring)
        self._readable = True
        """Whether that look itself succeeded: each change of it has its line."""
        self._is_replaced = False
        """Whether the last look found another store, or an older state of it, in the store's place."""
        self.is_halted = False
        """Whether it found that the store takes no changes from anybody."""
        self.replaced = 0
        """Times that another store, or an older state of it, was found in the store's place."""

    @property
    def refused_by_reason(self) -> dict[str, float]:
        """Rows that are refused now; every reason is there."""
        counts = Counter(row.reason for row in self.refused.values())
        return {str(reason): counts[reason] for reason in Reason}

    @property
    def current(self) -> bool:
        """Whether everything is here that was committed until a moment ago. It is read whenever a record is looked up,
        and whenever an answer is sent: a process that was stopped in between does not know it."""
        contact = self._contact
        if contact is None or contact < self._doubted:
            return False
        return not self._store.serves_stale or clock.boottime() - contact < CURRENT_S

    @property
    def contact_age(self) -> float:
        """Seconds since a moment before which nothing was committed that is not here; 0.0: there was none yet."""
        contact = self._store.contact
        return 0.0 if contact is None else max(0.0, clock.boottime() - contact)

    @property
    def lag_s(self) -> float | None:
        """The same, of a copy that may have had no contact yet: None then."""
        return None if self._store.contact is None else self.contact_age

    @property
    def usable(self) -> bool:
        """Whether keys may be used with what is here: it is current, or only the contact with a distributed store is
        lost. Then the answers say that they are stale."""
        return self.current or (self._store.serves_stale and not self._is_replaced)

    def follow(self) -> None:
        """Bring the table to the store's state; without a store, note that the node is not current."""
        try:
            if self._arrived.look(self._store, self.applied_revision):
                self._apply_all()
                self._store.applied()
        except (StoreError, Refusal) as error:
            self._is_replaced = isinstance(error, ReplacedStoreError)
            self.is_halted = isinstance(error, HaltedStoreError)
            if self._readable:
                self.replaced += self._is_replaced
                logs.event(_log, "error", "the store cannot be read", reason=str(error))
            self._contact = None
            self._readable = False
            return
        self._contact = self._store.contact
        self._is_replaced = self.is_halted = False
        if not self._readable:
            self._readable = True
            logs.event(_log, "info", "the store can be read again", revision=self.applied_revision)

    def doubt(self) -> None:
        """Serve as stale until the next contact with the store: the process stood still."""
        self._doubted = clock.boottime()

    def use_master_key(self, version: int) -> None:
        """Seal under that master key from now on: what this node has seen is under another one, as far as it knows."""
        self._keyring.use(version)
        self.leftovers.begin(name for name in self.ledger.missing(()) if name not in self.refused)

    def take_any(self, row: Row) -> None:
        """Apply a row that the store has just returned, of whatever kind."""
        self._apply_any(row)

    def take(self, row: Row) -> KeyEntry:
        """Apply a key's row that the store has just returned to a create or change; return its entry."""
        return self.take_as(self._keys, row)

    def take_as(self, kind: RowKind[R, E], row: Row) -> E:
        """Apply a row that the store has just returned, which must be of that kind; return what is held of it.

        Raises:
            Refusal: it must not be used.
        """
        held = self._apply(kind, row)
        if held is None:
            raise damaged(kind)
        return held

    def lookup(self, partition: int, key_id: bytes) -> KeyEntry | None:
        """Return the entry of a key, a tombstone too; None where the store has none.

        Raises:
            Refusal: it has one, but not an authentic one; or it had one, and that is gone; or its owner wants it never
                to be used as it may have been, and this node is stale.
        """
        # Before every use of a key: what is there is found without a call more.
        entry = self._keys.table.get(partition, key_id) or self.find(self._keys, partition, key_id)
        if entry is not None and entry.record.policy.flags & _STRICT and not self.current:
            detail = "the key's policy is strict, and this node cannot ask its store how it is now"
            raise Refusal(Status.NOT_CURRENT, detail, not_executed=True)
        return entry

    def find(self, kind: RecordRows[T], partition: int, record_id: bytes) -> Entry[T] | None:
        """Return the entry of that kind of records; see `lookup`."""
        entry = kind.table.get(partition, record_id)
        if entry is None and self.refused and kind.name(partition, record_id) in self.refused:
            raise damaged(kind)
        return entry

    def _apply_all(self) -> None:
        """Apply what was given, in order. Where the master key's device fails (Refusal), the rest stays for later."""
        if not self._loaded:
            self._listed.update(self._arrived.names)
        self._arrived.apply(self._apply_next, loading=not self._loaded)
        if not self._loaded:
            self._loaded = True
            self._compare_with_seen(self._listed)
            self._listed.clear()

    def _apply_next(self, row: Row) -> None:
        self._apply_any(row)
        self.applied_revision = row.revision

    def _compare_with_seen(self, present: set[bytes]) -> None:
        """Refuse what this node has seen in an earlier life and the store no longer has."""
        for name in self.ledger.missing(present):
            self._refuse(Row(name, 0, b""), RecordError(Reason.MISSING, "this node has seen it, and it is gone"))
        lost = sum(row.reason in (Reason.OLDER, Reason.MISSING) for row in self.refused.values())
        if lost or self.applied_revision < self.ledger.revision:
            logs.event(
                _log,
                "error",
                "the store is older than this node has seen it",
                revision=self.applied_revision,
                seen=self.ledger.revision,
                refused=lost,
                what=f"restore a newer backup; or, if this one is to be used all the same, {_RESTORED}",
            )

    def _apply_any(self, row: Row) -> None:
        kind = self._kinds.of(row)
        if kind is None:
            self._refuse(row, _unknown(row, self._keyring))
        else:
            self._apply(kind, row)

    def _apply(self, kind: RowKind[R, E], row: Row) -> E | None:
        """Return what is held under the row's name then; None where its row must not be used."""
        try:
            record = kind.open(row)
        except RecordError as error:
            self._refuse(row, error)
            return None
        if self._is_late(row):
            return None
        known = kind.known(record)
        if known is not None and row.revision < known.revision:
            return known  # Brought late by a thread, no older state of the store.
        return kind.take(record, row) if self._accepted(row, record.order) else None

    def _accepted(self, row: Row, order: int) -> bool:
        """Whether an authentic row is the newest that this node knows of; it is remembered then."""
        verdict = self.ledger.see(row.name, order, row.data)
        if verdict is Verdict.OLDER:
            self._refuse(row, RecordError(Reason.OLDER, "it is older than one that this node has seen"))
        elif verdict is Verdict.OTHER:
            text = "it is another one than this node has seen, written as often"
            self._refuse(row, RecordError(Reason.OLDER, text))
        else:
            self.refused.pop(row.name, None)
            self.leftovers.note(row.name, row.data)
            self.ledger.follow(row.revision)
            return True
        return False

    def _is_late(self, row: Row) -> bool:
        """Whether a newer row of that name was refused: what a thread brings late does not make up for it."""
        refused = self.refused.get(row.name)
        return refused is not None and row.revision < refused.revision

    def _refuse(self, row: Row, error: RecordError) -> None:
        """Note a row that must not be used, and forget what it was before."""
        refused = RefusedRow(str(error), row.revision, error.reason)
        if self.refused.get(row.name) == refused:  # Out of order, it comes with every look.
            return
        self.refused[row.name] = refused
        self.leftovers.forget(row.name)
        self._kinds.forget(row.name)
        _refused.event(
            "error",
            "a record of the store is refused",
            name=row.name.hex(),
            revision=row.revision,
            reason=str(error),
        )


def damaged(kind: RowKind[Any, Any]) -> Refusal:
    """Return the answer for what has a record that must not be used."""
    return Refusal(Status.RECORD_DAMAGED, f"the {kind.noun}'s record is damaged; tell the operator")


def _unknown(row: Row, keyring: Keyring) -> RecordError:
    """Return what is wrong with a row of no kind: it is no envelope, or one of a format of the future."""
    try:
        open_envelope({}, row.data, keyring)
    except RecordError as error:
        return error
    raise AssertionError("an envelope of no format was opened")
