"""Keeps the key table at the store's state, before each batch of requests."""

import msgspec

from hsm_daemon import logs
from hsm_node.backends.base import Backend
from hsm_node.core.envelopes import Reason, RecordError, format_of
from hsm_node.core.key_table import Entry, KeyTable
from hsm_node.core.keyring import Keyring
from hsm_node.core.node_states import NODE_STATE_FORMAT, NodeStateRecord, open_node_state
from hsm_node.core.records import open_record
from hsm_node.core.refusal import Refusal
from hsm_node.store.base import Row, Store, StoreError
from hsm_wire.statuses import Status

_log = logs.logger("hsm_node.follower")


class NodeStateEntry(msgspec.Struct, frozen=True):
    """A node's administrative state, and the revision that it has in the store."""

    record: NodeStateRecord
    revision: int


class RefusedRow(msgspec.Struct, frozen=True):
    """A row that is not authentic, and the revision under which an operator's change may replace it."""

    reason: str
    revision: int


class Follower:
    """Applies what is newer in the store. A record that is not authentic is refused, counted and named in the log."""

    def __init__(self, store: Store, table: KeyTable, keyring: Keyring, backend: Backend) -> None:
        self._store = store
        self._table = table
        self._keyring = keyring
        self._backend = backend
        self._places: dict[bytes, tuple[int, bytes]] = {}
        self.refused: dict[bytes, RefusedRow] = {}
        """Names of rows that are not authentic."""
        self.node_states: dict[str, NodeStateEntry] = {}
        """Node -> what the operator wants of it; a node that is not here is ready."""
        self.applied_revision = 0
        self.current = True
        """Whether the last look into the store succeeded."""

    def follow(self) -> None:
        """Bring the table to the store's state; without a store, note that the node is not current."""
        try:
            if self._store.changed():
                for row in self._store.rows_after(self.applied_revision):
                    self._apply_any(row)
                    self.applied_revision = row.revision
        except StoreError as error:
            if self.current:
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
            Refusal: it has one, but not an authentic one.
        """
        entry = self._table.get(partition, key_id)
        if entry is None and self.refused and self._keyring.name(partition, key_id) in self.refused:
            raise self.damaged()
        return entry

    def _apply_any(self, row: Row) -> None:
        if format_of(row.data) != NODE_STATE_FORMAT:
            self._apply(row)
            return
        try:
            record = open_node_state(row.data, row.name, self._store.cluster_id, self._keyring)
        except RecordError as error:
            self._refuse(row, error)
            return
        known = self.node_states.get(record.node)
        if self._is_late(row) or (known is not None and row.revision < known.revision):
            return
        if known is not None and record.version < known.record.version:
            self._refuse(row, RecordError(Reason.OLDER, "it is an earlier version than one that was followed"))
            return
        self.refused.pop(row.name, None)
        self.node_states[record.node] = NodeStateEntry(record, row.revision)

    def _is_late(self, row: Row) -> bool:
        """Whether a newer row of that name was refused: what a thread brings late does not make up for it."""
        refused = self.refused.get(row.name)
        return refused is not None and row.revision < refused.revision

    def _refuse(self, row: Row, error: RecordError) -> None:
        """Note a row that is not authentic, and forget the key that it was before."""
        self.refused[row.name] = RefusedRow(str(error), row.revision)
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

    def _apply(self, row: Row) -> Entry | None:
        try:
            record = open_record(row.data, row.name, self._store.cluster_id, self._keyring)
        except RecordError as error:
            self._refuse(row, error)
            return None
        if self._is_late(row):
            return None
        self.refused.pop(row.name, None)
        if record.destroyed:  # Of its place nothing more than the tombstone is kept: there are more of them every day.
            self._places.pop(row.name, None)
            self._backend.forget(record.partition, record.key_id)
        else:
            self._places[row.name] = (record.partition, record.key_id)
        self._table.apply(record, row.revision)
        return self._table.get(record.partition, record.key_id)

    @staticmethod
    def damaged() -> Refusal:
        """Return the answer for a key whose record is not authentic."""
        return Refusal(Status.DEVICE_ERROR, "the key's record is damaged; tell the operator")
