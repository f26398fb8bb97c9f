"""What the writer promises to every handler; each operation's own tests are in test_key_records and test_key_makers."""

import os
from collections.abc import Callable
from typing import Any

from hsm_wire.messages import DescribeKey, GenerateKey, ImportKey, KeyInfo, UpdateKey, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]


async def test_an_id_belongs_to_the_request_that_used_it_first_whatever_its_operation(start_node: Start) -> None:
    client = await start_node().client()
    key = os.urandom(16)
    assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "aes-256"))).status == Status.OK
    answer = await client.call(Opcode.IMPORT_KEY, ImportKey(key, "aes-256", bytes(32)))
    assert answer.status == Status.KEY_EXISTS
    assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "aes-256", "other"))).status == Status.KEY_EXISTS


async def test_one_operation_id_with_two_bodies_is_two_changes(start_node: Start) -> None:
    client = await start_node().client()
    key = os.urandom(16)
    await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "aes-256"))
    for label in ("one", "two", "two"):
        await client.call(Opcode.UPDATE_KEY, UpdateKey(key, label=label), operation_id=1)
    info = decode_body(KeyInfo, (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(key))).body)
    assert (info.label, info.version) == ("two", 3)
