import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsm_node.core.node_states import next_node_state, seal_node_state
from hsm_node.core.records import Record, seal_record
from hsm_node.core.refusal import Refusal
from hsm_node.store.base import Row
from hsm_wire.messages import DescribeKey, GenerateKey
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]


def states_of(node: Any, *states: str) -> list[Any]:
    """Return rows of node-1's state after each change, without their revisions."""
    ring = node.keystore.follower._keyring
    rows, record = [], None
    for state in states:
        record = next_node_state(record, node.store.cluster_id, 1, "node-1", state, b"")
        rows.append((ring.node_name("node-1"), seal_node_state(record, ring)))
    return rows


async def test_a_record_changed_in_the_store_is_refused_and_counted(start_node: Start, node_folder: Path) -> None:
    node = start_node()
    client = await node.client()
    key = os.urandom(16)
    await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "ec-p256"))
    connection = sqlite3.connect(node_folder / "store.db")
    with connection:
        (data,) = connection.execute("SELECT data FROM records").fetchone()
        connection.execute("UPDATE records SET data = ?, revision = revision + 1", (data[:-1] + bytes([data[-1] ^ 1]),))
    connection.close()
    assert (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(key))).status == Status.DEVICE_ERROR
    assert len(node.keystore.follower.refused) == 1
    assert node.keystore.table.live == 0


async def test_a_node_that_cannot_read_its_store_serves_no_key(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    node.store.close()
    read = await client.call(Opcode.DESCRIBE_KEY, DescribeKey(os.urandom(16)))
    change = await client.call(Opcode.GENERATE_KEY, GenerateKey(os.urandom(16), "ec-p256"))
    assert (read.status, change.status) == (Status.NOT_CURRENT, Status.STORE_UNAVAILABLE)
    assert read.flags == change.flags == 3  # not executed, stale


async def test_an_older_row_does_not_undo_a_newer_state(start_node: Start) -> None:
    node = start_node()
    await node.client()
    follower, rows = node.keystore.follower, states_of(node, "drain", "ready")
    follower.take_any(Row(rows[1][0], 6, rows[1][1]))
    follower.take_any(Row(rows[0][0], 5, rows[0][1]))
    assert node.keystore.administration.state_of("node-1") == "ready"
    assert not follower.refused


async def test_an_earlier_version_at_a_later_revision_is_refused_and_changes_nothing(start_node: Start) -> None:
    node = start_node()
    await node.client()
    follower, rows = node.keystore.follower, states_of(node, "drain", "ready")
    follower.take_any(Row(rows[1][0], 6, rows[1][1]))
    follower.take_any(Row(rows[0][0], 7, rows[0][1]))
    assert node.keystore.administration.state_of("node-1") == "ready"
    assert [row.revision for row in follower.refused.values()] == [7]


async def test_an_older_authentic_row_does_not_make_up_for_a_damaged_one(
    start_node: Start, make_record: Callable[..., Record]
) -> None:
    node = start_node()
    await node.client()
    follower, ring = node.keystore.follower, node.keystore.follower._keyring
    record = make_record(cluster_id=node.store.cluster_id)
    name, good = ring.name(record.partition, record.key_id), seal_record(record, ring)
    assert follower.take(Row(name, 4, good)).record == record
    for row in (Row(name, 6, good[:-1] + bytes([good[-1] ^ 1])), Row(name, 5, good)):
        with pytest.raises(Refusal) as refused:
            follower.take(row)
        assert refused.value.status is Status.DEVICE_ERROR
    assert follower.take(Row(name, 7, good)).revision == 7
    assert not follower.refused
