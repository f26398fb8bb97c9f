"""What those who count rely on: nothing is lost to others who write the same record, nor written twice."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest
from counted_keys import PARTITION, FailingStore, new_key, record_of

from hsm_node.core.records import Record, rewritten_record
from hsm_node.core.refusal import Refusal
from hsm_wire.messages import DescribeKey, DestroyKey, KeyInfo, UpdateKey, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]
NODES = 3


def one_more(record: Record) -> Record:
    return rewritten_record(record, uses=record.uses + 1)


async def test_what_many_nodes_count_at_once_adds_up_whatever_the_owner_changes_meanwhile(start_node: Start) -> None:
    nodes = [start_node() for _ in range(NODES)]
    client = await nodes[0].client()
    key = await new_key(client, "ec-p256")
    place = (PARTITION, key)
    for node in nodes:
        node.keystore.follower.follow()
    counting = [node.keystore.rewriter.rewrite(place, math.inf, one_more) for node in nodes for _ in range(20)]

    async def change() -> None:
        for number in range(1, 6):
            update = UpdateKey(key, label=f"label {number}")
            assert (await client.call(Opcode.UPDATE_KEY, update, operation_id=number)).status == Status.OK

    await asyncio.gather(*counting, change())
    record = record_of(nodes[1], key)
    assert (record.uses, record.label, record.version) == (NODES * 20, "label 5", 6)
    assert record.order == 1 + NODES * 20 + 5, "each writing happened once"
    info = decode_body(KeyInfo, (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(key))).body)
    assert info.version == 6, "the owner sees what the owner changed"


async def test_where_nothing_changes_nothing_is_written(start_node: Start) -> None:
    node = start_node()
    key = await new_key(await node.client(), "ec-p256")
    store = FailingStore(node)
    entry = await node.keystore.rewriter.rewrite((PARTITION, key), math.inf, lambda record: record)
    assert (entry.record.key_id, store.written) == (key, 0)


async def test_without_the_store_it_is_said_that_nothing_was_done(start_node: Start) -> None:
    node = start_node()
    key = await new_key(await node.client(), "ec-p256")
    store = FailingStore(node)
    store.failing = True
    with pytest.raises(Refusal, match="send the request again") as refused:
        await node.keystore.rewriter.rewrite((PARTITION, key), math.inf, one_more)
    assert (refused.value.status, refused.value.not_executed) == (Status.STORE_UNAVAILABLE, True)
    assert node.keystore.failures.store == 1


async def test_a_key_that_is_gone_counts_nothing(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    key = await new_key(client, "ec-p256")
    await client.call(Opcode.DESTROY_KEY, DestroyKey(key), operation_id=1)
    with pytest.raises(Refusal) as refused:
        await node.keystore.rewriter.rewrite((PARTITION, key), math.inf, one_more)
    assert refused.value.status is Status.KEY_NOT_FOUND
