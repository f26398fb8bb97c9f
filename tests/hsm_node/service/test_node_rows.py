"""Rows of which each node has one."""

from collections.abc import Callable

from hsm_node.core.keyring import Keyring
from hsm_node.core.node_states import NodeStateRecord, next_node_state, open_node_state, seal_node_state
from hsm_node.service.node_rows import NodeRows
from hsm_node.store.base import Row

CLUSTER = b"c" * 16


def test_the_newest_record_of_each_node_is_held_and_outlives_a_row_that_is_refused(keyring: Keyring) -> None:
    opened: Callable[[bytes, bytes], NodeStateRecord] = lambda data, name: open_node_state(data, name, CLUSTER, keyring)  # noqa: E731 - it is the argument
    kind = NodeRows("thing", (2,), opened)
    first = next_node_state(None, CLUSTER, 1, "node-1", "drain", b"m")
    second = next_node_state(first, CLUSTER, 1, "node-1", "ready", b"n")
    name = keyring.node_name("node-1")
    for revision, state in enumerate((first, second), 1):
        row = Row(name, revision, seal_node_state(state, keyring))
        record = kind.open(row)
        assert kind.take(record, row) is kind.known(record)
    kind.forget(name)
    entry = kind.held["node-1"]
    assert (entry.record, entry.revision, kind.formats, kind.noun) == (second, 2, (2,), "thing")
