import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hsm_wire.messages import DescribeKey, GenerateKey
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]


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
    assert read.flags == change.flags == 1
