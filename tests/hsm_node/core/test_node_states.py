"""What the operator wants of a node, as an authentic record."""

import msgspec
import pytest

from hsm_node.core.envelopes import RecordError, format_of
from hsm_node.core.keyring import Keyring
from hsm_node.core.node_states import NODE_STATE_FORMAT, next_node_state, open_node_state, seal_node_state

CLUSTER = b"c" * 16


def sealed(keyring: Keyring, node: str = "node-1", cluster: bytes = CLUSTER) -> bytes:
    return seal_node_state(next_node_state(None, cluster, 1, node, "drain", b"m"), keyring)


def test_a_state_is_read_as_it_was_written(keyring: Keyring) -> None:
    data = sealed(keyring)
    record = open_node_state(data, keyring.node_name("node-1"), CLUSTER, keyring)
    assert (record.node, record.state, record.version, record.changes) == ("node-1", "drain", 1, (b"m",))
    assert format_of(data) == NODE_STATE_FORMAT
    assert format_of(b"nonsense") == 0


def test_each_change_counts_up_and_keeps_the_last_eight_marks(keyring: Keyring) -> None:
    record = None
    for number in range(10):
        record = next_node_state(record, CLUSTER, 1, "node-1", "drain", bytes([number]))
    assert record is not None
    assert (record.version, record.changes) == (10, tuple(bytes([number]) for number in range(2, 10)))
    assert next_node_state(record, CLUSTER, 1, "node-1", "ready", b"").changes == record.changes


def test_a_state_moved_changed_or_of_another_cluster_is_refused(keyring: Keyring, other_keyring: Keyring) -> None:
    data = sealed(keyring)
    name = keyring.node_name("node-1")
    with pytest.raises(RecordError, match="moved"):
        open_node_state(data, keyring.node_name("node-2"), CLUSTER, keyring)
    with pytest.raises(RecordError, match="another cluster"):
        open_node_state(data, name, b"d" * 16, keyring)
    with pytest.raises(RecordError, match="another master key"):
        open_node_state(data, name, CLUSTER, other_keyring)
    with pytest.raises(RecordError, match="not a record"):
        open_node_state(b"\xc1", name, CLUSTER, keyring)
    envelope = msgspec.msgpack.decode(data)
    envelope[1] = envelope[1].replace(b"drain", b"ready")
    with pytest.raises(RecordError, match="was changed"):
        open_node_state(msgspec.msgpack.encode(envelope), name, CLUSTER, keyring)


def test_what_replaces_a_damaged_row_is_later_than_any_version_that_it_can_have_had() -> None:
    first = next_node_state(None, b"c" * 16, 1, "node-1", "drain", b"", after_version=7)
    assert first.version == 8
    assert next_node_state(first, b"c" * 16, 1, "node-1", "ready", b"", after_version=3).version == 9
