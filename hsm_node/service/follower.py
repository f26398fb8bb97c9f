"""Keeps the key table at the store's state, before each batch of requests."""

import contextlib
import gc
from collections import Counter
from collections.abc import Iterator

import msgspec

from hsm_daemon import logs
from hsm_node.backends.base import Backend
from hsm_node.core.envelopes import Reason, RecordError, format_of
from hsm_node.core.key_table import Entry, KeyTable
from hsm_node.core.keyring import Keyring
from hsm_node.core.ledger import Ledger, Verdict
from hsm_node.core.node_states import NODE_STATE_FORMAT, NodeStateRecord, open_node_state
from hsm_node.core.records import open_record
from hsm_node.core.refusal import Refusal
from hsm_node.store.base import ReplacedStoreError, Row, Store, StoreError
from hsm_wire.statuses import Status

_log = logs.logger("hsm_node.follower")
_RESTORED = "stop the node and remove seen.db from its state_dir"


class NodeStateEntry(msgspec.Struct, frozen=True):
    """A node's administrative state, and the revision that it has in the store."""

    record: NodeStateRecord
    revision: int


class RefusedRow(msgspec.Struct, frozen=True):
    """A row that is not authentic, and the revision under which an operator's change may replace it (0: it is gone)."""

    text: str
    revision: int
    reason: Reason


class Follower:
    """Applies what is newer in the store. A record that is not authentic, or older than one that was seen, is refused,
    counted and named in the log; the other keys go on."""

    def __init__(
        self, store: Store, table: KeyTable, keyring: Keyring, backend: Backend, ledger: Ledger | None = None
    ) -> None:
        self._store = store
        self._table = table
        self._keyring = keyring
        self._backend = backend
        self.ledger = Ledger(keyring.ledger_mac, store.cluster_id) if ledger is None else ledger
        """What this node has seen, also in earlier lives. At `applied_revision` its digest is every node's."""
        self._places: dict[bytes, tuple[int, bytes]] = {}
        self._loaded = False
        self.refused: dict[bytes, RefusedRow] = {}
        """Names of rows that must not be used."""
        self.node_states: dict[str, NodeStateEntry] = {}
        """Node -> what the operator wants of it; a node that is not here is ready."""
        self.applied_revision = 0
        self.current = True
        """Whether the last look into the store succeeded."""
        self.replaced = 0
        """Times that another store, or an older state of it, was found in the store's place."""

    @property
    def refused_by_reason(self) -> dict[str, float]:
        """Rows that are refused now; every reason is there."""
        counts = Counter(row.reason for row in self.refused.values())
        return {str(reason): counts[reason] for reason in Reason}

    def follow(self) -> None:
        """Bring the table to the store's state; without a store, note that the node is not current."""
        try:
            if self._store.changed():
                with contextlib.nullcontext() if self._loaded else _no_collection():
                    self._apply_all(self._store.rows_after(self.applied_revision))
        except StoreError as error:
            if self.current:
                self.replaced += isinstance(error, ReplacedStoreError)
                logs.event(_log, "error", "the store cannot be read", reason=str(error))
            self.current = False
            return
        if not self.current:
            self.current = True
            logs.event(_log, "warning", "the store can be read again", revision=self.applied_revision)

    def doubt(self) -> None:
        """Serve as stale until the next look into the store: the process stood still."""
        self.current = False

    def take_any(self, row: Row) -> None:
        """Apply a row that the store has just returned, of whatever kind."""
        self._apply_any(row)

    def take(self, row: Row) -> Entry:
        """Apply a row that the store has just returned to a create or change; return its entry."""
        entry = self._apply(row)
        if entry is None:
            raise self.damaged()
        return entry

    def lookup(self, partition: int, key_id: bytes) -> Entry | None:
        """Return the entry of a key, a tombstone too; None where the store has none.

        Raises:
            Refusal: it has one, but not an authentic one; or it had one, and that is gone.
        """
        entry = self._table.get(partition, key_id)
        if entry is None and self.refused and self._keyring.name(partition, key_id) in self.refused:
            raise self.damaged()
        return entry

    def _apply_all(self, rows: list[Row]) -> None:
        for row in rows:
            self._apply_any(row)
            self.applied_revision = row.revision
        if not self._loaded:
            self._loaded = True
            self._compare_with_seen({row.name for row in rows})

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
        if format_of(row.data) == NODE_STATE_FORMAT:
            self._apply_node_state(row)
        else:
            self._apply(row)

    def _apply_node_state(self, row: Row) -> None:
        try:
            record = open_node_state(row.data, row.name, self._store.cluster_id, self._keyring)
        except RecordError as error:
            self._refuse(row, error)
            return
        known = self.node_states.get(record.node)
        if self._is_late(row) or (known is not None and row.revision < known.revision):
            return
        if self._accepted(row, record.version):
            self.node_states[record.node] = NodeStateEntry(record, row.revision)

    def _apply(self, row: Row) -> Entry | None:
        try:
            record = open_record(row.data, row.name, self._store.cluster_id, self._keyring)
        except RecordError as error:
            self._refuse(row, error)
            return None
        if self._is_late(row):
            return None
        known = self._table.get(record.partition, record.key_id)
        if (
            known is not None and row.revision < known.revision
        ):  # Brought late by a thread, no older state of the store.
            return known
        if not self._accepted(row, record.order):
            return None
        if record.destroyed:  # Of its place nothing more than the tombstone is kept: there are more of them every day.
            self._places.pop(row.name, None)
            self._backend.forget(record.partition, record.key_id)
        else:
            self._places[row.name] = (record.partition, record.key_id)
        self._table.apply(record, row.revision)
        return self._table.get(record.partition, record.key_id)

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
            self.ledger.follow(row.revision)
            return True
        return False

    def _is_late(self, row: Row) -> bool:
        """Whether a newer row of that name was refused: what a thread brings late does not make up for it."""
        refused = self.refused.get(row.name)
        return refused is not None and row.revision < refused.revision

    def _refuse(self, row: Row, error: RecordError) -> None:
        """Note a row that must not be used, and forget the key that it was before."""
        refused = RefusedRow(str(error), row.revision, error.reason)
        if self.refused.get(row.name) == refused:  # Out of order, it comes with every look.
            return
        self.refused[row.name] = refused
        place = self._places.pop(row.name, None)
        if place is not None:  # The older version in memory may allow what the newer one forbade.
            self._table.remove(*place)
            self._backend.forget(*place)
        logs.event(
            _log,
            "error",
            "a record of the store is refused",
            name=row.name.hex(),
            revision=row.revision,
            reason=str(error),
        )

    @staticmethod
    def damaged() -> Refusal:
        """Return the answer for a key whose record is not authentic."""
        return Refusal(Status.DEVICE_ERROR, "the key's record is damaged; tell the operator")


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Load without the collector: it would look again and again at records that stay, for 40 % of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
