"""What the writer promises of every kind of records; what keys need beside that is in test_key_writer."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from hsm_node.core.refusal import Refusal
from hsm_wire.messages import GenerateKey, KeyInfo, Unconfirmed, UpdateKey, decode_body
from hsm_wire.objects import CreateObject, ObjectInfo, ReadObject, ReadObjectResult, UpdateObject
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]


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
