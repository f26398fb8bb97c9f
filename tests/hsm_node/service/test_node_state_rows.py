"""Rows of what the operator wants of a node."""

import pytest

from hsm_node.core.envelopes import RecordError
from hsm_node.core.keyring import Keyring
from hsm_node.core.node_states import next_node_state, seal_node_state
from hsm_node.service.node_state_rows import NodeStateRows
from hsm_node.store.base import Row

CLUSTER = b"c" * 16


def test_a_state_is_opened_held_and_stays_when_its_row_is_refused(keyring: Keyring) -> None:
    kind = NodeStateRows(keyring, CLUSTER)
    state = next_node_state(None, CLUSTER, 1, "node-1", "drain", b"m")
    row = Row(keyring.node_name("node-1"), 7, seal_node_state(state, keyring))
    record = kind.open(row)
    assert (record, record.order, kind.known(record)) == (state, 1, None)
    entry = kind.take(record, row)
    kind.forget(row.name)
    assert kind.known(record) is entry
    assert (entry.record, entry.revision) == (state, 7)


def test_a_state_of_another_node_is_refused(keyring: Keyring) -> None:
    state = next_node_state(None, CLUSTER, 1, "node-1", "drain", b"m")
    row = Row(keyring.node_name("node-2"), 7, seal_node_state(state, keyring))
    with pytest.raises(RecordError, match="moved"):
        NodeStateRows(keyring, CLUSTER).open(row)
