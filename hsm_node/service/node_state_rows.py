"""Rows of what the operator wants of a node."""

import msgspec

from hsm_node.core.keyring import Keyring
from hsm_node.core.node_states import NODE_STATE_FORMAT, NodeStateRecord, open_node_state
from hsm_node.store.base import Row


class NodeStateEntry(msgspec.Struct, frozen=True):
    """A node's administrative state, and the revision that it has in the store."""

    record: NodeStateRecord
    revision: int


class NodeStateRows:
    """A `RowKind`. A state whose row must not be used stays as it was: a forged row brings no node back."""

    formats = (NODE_STATE_FORMAT,)
    noun = "node state"

    def __init__(self, keyring: Keyring, cluster_id: bytes) -> None:
        self._keyring = keyring
        self._cluster_id = cluster_id
        self.held: dict[str, NodeStateEntry] = {}
        """Node -> what the operator wants of it; a node that is not here is ready."""

    def open(self, row: Row) -> NodeStateRecord:
        """Return the record of an authentic row."""
        return open_node_state(row.data, row.name, self._cluster_id, self._keyring)

    def known(self, record: NodeStateRecord) -> NodeStateEntry | None:
        """Return the state of that node."""
        return self.held.get(record.node)

    def take(self, record: NodeStateRecord, row: Row) -> NodeStateEntry:
        """Hold the newest state."""
        entry = self.held[record.node] = NodeStateEntry(record, row.revision)
        return entry

    def forget(self, name: bytes) -> None:
        """Keep what was known."""
