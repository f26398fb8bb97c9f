"""What the writer promises of every kind of records; what keys need beside that is in test_key_writer."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from hsm_node.core.refusal import Refusal
from hsm_wire.kinds import Flag
from hsm_wire.messages import (
    DestroyKey,
    Failure,
    GenerateKey,
    KeyInfo,
    RotateKey,
    Unconfirmed,
    UpdateKey,
    decode_body,
)
from hsm_wire.objects import CreateObject, DestroyObject, ObjectInfo, ReadObject, ReadObjectResult, UpdateObject
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[..., Any]
FEW = "partition_changes_per_s = 0.1\npartition_changes_burst = 3"


async def test_an_id_is_a_keys_and_an_objects_at_once(start_node: Start) -> None:
    client = await start_node().client()
    one = os.urandom(16)
    assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(one, "aes-256", "key"))).status == Status.OK
    assert (await client.call(Opcode.CREATE_OBJECT, CreateObject(one, "data", b"v", "object"))).status == Status.OK
    key = await client.call(Opcode.UPDATE_KEY, UpdateKey(one, 1, label="new key"), operation_id=1)
    made = await client.call(Opcode.UPDATE_OBJECT, UpdateObject(one, 1, label="new object"), operation_id=1)
    assert decode_body(KeyInfo, key.body).label == "new key"
    assert decode_body(ObjectInfo, made.body).label == "new object"


async def test_an_id_belongs_to_the_request_that_used_it_first(start_node: Start, text_of: Callable[..., str]) -> None:
    client = await start_node().client()
    one = os.urandom(16)
    assert (await client.call(Opcode.CREATE_OBJECT, CreateObject(one, "data", b"v"))).status == Status.OK
    answer = await client.call(Opcode.CREATE_OBJECT, CreateObject(one, "data", b"w"))
    assert answer.status == Status.KEY_EXISTS
    assert text_of(answer) == "the id belongs to another request's object"


async def test_one_operation_id_with_two_bodies_is_two_changes(start_node: Start) -> None:
    client = await start_node().client()
    one = os.urandom(16)
    await client.call(Opcode.CREATE_OBJECT, CreateObject(one, "data", b"v"))
    for label in ("one", "two", "two"):
        await client.call(Opcode.UPDATE_OBJECT, UpdateObject(one, label=label), operation_id=1)
    read = decode_body(ReadObjectResult, (await client.call(Opcode.READ_OBJECT, ReadObject(one))).body)
    assert (read.info.label, read.info.version) == ("two", 3)


async def test_a_change_that_meets_others_all_the_time_gives_up(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    one = os.urandom(16)
    await client.call(Opcode.CREATE_OBJECT, CreateObject(one, "data", b"v"))
    node.keystore.store.change = lambda _name, _revision, _data, **_waits: None
    answer = await client.call(Opcode.UPDATE_OBJECT, UpdateObject(one, label="x"))
    assert (answer.status, answer.flags & 1) == (Status.OVERLOADED, 1)


async def test_changes_at_once_through_two_nodes_are_all_made(start_node: Start) -> None:
    clients = [await start_node().client() for _ in range(2)]
    one = os.urandom(16)
    await clients[0].call(Opcode.CREATE_OBJECT, CreateObject(one, "data", b"v"))
    for round_ in range(5):
        await asyncio.gather(
            *(
                client.call(
                    Opcode.UPDATE_OBJECT, UpdateObject(one, label=f"{round_}"), operation_id=1 + 10 * round_ + number
                )
                for number, client in enumerate(clients)
            )
        )
    read = decode_body(ReadObjectResult, (await clients[1].call(Opcode.READ_OBJECT, ReadObject(one))).body)
    assert (read.info.label, read.info.version) == ("4", 11)


async def test_nodes_that_may_not_have_a_change_are_named(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    one = os.urandom(16)
    await client.call(Opcode.CREATE_OBJECT, CreateObject(one, "data", b"v"))
    names: Future[list[str]] = Future()
    names.set_result(["node-2"])
    node.keystore.store.unconfirmed = lambda _revision: names
    answer = await client.call(Opcode.UPDATE_OBJECT, UpdateObject(one, label="x"))
    assert answer.status == Status.OK_UNCONFIRMED
    assert decode_body(Unconfirmed, answer.body).unconfirmed == ["node-2"]


async def test_a_change_whose_confirmation_comes_too_late_is_not_called_undone(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    one = os.urandom(16)
    await client.call(Opcode.CREATE_OBJECT, CreateObject(one, "data", b"v"))

    def late(_revision: int) -> Future[list[str]]:
        raise Refusal(Status.TIMEOUT, "too late", not_executed=True)

    node.keystore.store.unconfirmed = late
    answer = await client.call(Opcode.UPDATE_OBJECT, UpdateObject(one, label="x"))
    assert (answer.status, answer.flags & 1) == (Status.TIMEOUT, 0)
    read = decode_body(ReadObjectResult, (await client.call(Opcode.READ_OBJECT, ReadObject(one))).body)
    assert read.info.label == "x"


@pytest.mark.parametrize("opcode", [Opcode.UPDATE_OBJECT, Opcode.DESTROY_OBJECT])
async def test_a_change_without_an_operation_id_is_refused(start_node: Start, opcode: Opcode) -> None:
    client = await start_node().client()
    body = UpdateObject(b"o" * 16) if opcode is Opcode.UPDATE_OBJECT else ReadObject(b"o" * 16)
    assert (await client.call(opcode, body, operation_id=0)).status == Status.BAD_REQUEST


async def test_above_the_partition_s_rate_nothing_is_made_or_changed_and_the_time_to_wait_is_told(
    start_node: Start, text_of: Callable[..., str]
) -> None:
    node = start_node(FEW)
    client = await node.client()
    one, key = os.urandom(16), os.urandom(16)
    assert (await client.call(Opcode.CREATE_OBJECT, CreateObject(one, "data", b"v"))).status == Status.OK
    assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "aes-256", "key"))).status == Status.OK
    update = UpdateKey(key, label="new")
    assert (await client.call(Opcode.UPDATE_KEY, update, operation_id=1)).status == Status.OK
    refused = [
        await client.call(Opcode.UPDATE_KEY, UpdateKey(key, label="newer"), operation_id=2),
        await client.call(Opcode.UPDATE_OBJECT, UpdateObject(one, label="newer"), operation_id=3),
        await client.call(Opcode.CREATE_OBJECT, CreateObject(os.urandom(16), "data", b"v")),
        await client.call(Opcode.GENERATE_KEY, GenerateKey(os.urandom(16), "aes-256")),
    ]
    for answer in refused:
        assert (answer.status, answer.flags & Flag.NOT_EXECUTED) == (Status.OVER_QUOTA, Flag.NOT_EXECUTED)
        assert "partition_changes_per_s" in text_of(answer)
        assert 5_000 < decode_body(Failure, answer.body).retry_after_ms <= 10_001
    assert (await client.call(Opcode.UPDATE_KEY, update, operation_id=1)).status == Status.OK, "it was made before"
    assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "aes-256", "key"))).status == Status.OK
    assert (node.keystore.change_rate.paid[1], node.keystore.change_rate.refused[1]) == (3, 4)


async def test_what_takes_a_right_away_is_never_held_up_and_counts(start_node: Start) -> None:
    node = start_node(FEW)
    client = await node.client()
    key, other, one = (os.urandom(16) for _ in range(3))
    for id_ in (key, other):
        assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(id_, "aes-256"))).status == Status.OK
    assert (await client.call(Opcode.CREATE_OBJECT, CreateObject(one, "data", b"v"))).status == Status.OK
    disable, enable = UpdateKey(key, enabled=False), UpdateKey(key, enabled=True)
    assert (await client.call(Opcode.UPDATE_KEY, disable, operation_id=1)).status == Status.OK
    assert (await client.call(Opcode.UPDATE_KEY, enable, operation_id=2)).status == Status.OVER_QUOTA
    assert (await client.call(Opcode.UPDATE_KEY, disable, operation_id=3)).status == Status.OVER_QUOTA, "it is already"
    assert (await client.call(Opcode.DESTROY_KEY, DestroyKey(key), operation_id=4)).status == Status.OK
    later = DestroyKey(other, 3600)
    assert (await client.call(Opcode.DESTROY_KEY, later, operation_id=5)).status == Status.OK, (
        "it is disabled until then"
    )
    assert (await client.call(Opcode.DESTROY_KEY, later, operation_id=6)).status == Status.OVER_QUOTA
    assert (await client.call(Opcode.DESTROY_OBJECT, DestroyObject(one), operation_id=7)).status == Status.OK
    assert node.keystore.change_rate.paid[1] == 7


async def test_a_rotation_that_has_begun_is_ended_whatever_the_rate(start_node: Start) -> None:
    node = start_node(FEW.replace("= 3", "= 2"))
    client = await node.client()
    key, new = os.urandom(16), os.urandom(16)
    assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "aes-256"))).status == Status.OK
    assert (await client.call(Opcode.ROTATE_KEY, RotateKey(key, new), operation_id=1)).status == Status.OK
    later = await client.call(Opcode.ROTATE_KEY, RotateKey(new, os.urandom(16)), operation_id=2)
    assert (later.status, later.flags & Flag.NOT_EXECUTED) == (Status.OVER_QUOTA, Flag.NOT_EXECUTED)


async def test_large_rows_cost_more(start_node: Start) -> None:
    node = start_node(FEW)
    client = await node.client()
    made = await client.call(Opcode.CREATE_OBJECT, CreateObject(os.urandom(16), "data", bytes(10_000)))
    assert made.status == Status.OK
    assert node.keystore.change_rate.paid[1] >= 10
    refused = await client.call(Opcode.CREATE_OBJECT, CreateObject(os.urandom(16), "data", b"v"))
    assert refused.status == Status.OVER_QUOTA
    assert decode_body(Failure, refused.body).retry_after_ms > 60_000
