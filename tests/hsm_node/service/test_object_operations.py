"""Objects through real nodes that share a store."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hsm_wire.frames import Frame
from hsm_wire.limits import MAX_FIND_LIMIT, MAX_OBJECT_BYTES
from hsm_wire.messages import EMPTY_BODY, Failure, decode_body
from hsm_wire.objects import (
    CreateObject,
    DestroyObject,
    FindObjects,
    FindObjectsResult,
    ObjectInfo,
    ReadObject,
    ReadObjectResult,
    UpdateObject,
)
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[..., Any]
OTHER_PARTITION = 8


async def create(client: Any, value: bytes = b"v", label: str = "", kind: str = "data", **fields: int) -> bytes:
    object_id = os.urandom(16)
    made = await client.call(Opcode.CREATE_OBJECT, CreateObject(object_id, kind, value, label), **fields)
    assert made.status == Status.OK
    return object_id


async def read(client: Any, object_id: bytes, **fields: int) -> Frame:
    frame: Frame = await client.call(Opcode.READ_OBJECT, ReadObject(object_id), **fields)
    return frame


async def found(client: Any, *filters: Any, **fields: int) -> list[ObjectInfo]:
    answer = await client.call(Opcode.FIND_OBJECTS, FindObjects(*filters), **fields)
    return decode_body(FindObjectsResult, answer.body).objects


def value_of(frame: Frame) -> bytes:
    return decode_body(ReadObjectResult, frame.body).value


async def test_an_object_is_created_read_changed_and_destroyed_through_any_node(start_node: Start) -> None:
    one, two = await start_node().client(), await start_node().client()
    object_id = os.urandom(16)
    made = await one.call(Opcode.CREATE_OBJECT, CreateObject(object_id, "data", b"first", "notes"))
    info = decode_body(ObjectInfo, made.body)
    assert (info.object_id, info.kind, info.label, info.version) == (object_id, "data", "notes", 1)
    result = decode_body(ReadObjectResult, (await read(two, object_id)).body)
    assert (result.info, result.value) == (info, b"first")
    changed = await two.call(Opcode.UPDATE_OBJECT, UpdateObject(object_id, 1, b"second", "more"), operation_id=1)
    info = decode_body(ObjectInfo, changed.body)
    assert (info.label, info.version) == ("more", 2)
    assert value_of(await read(one, object_id)) == b"second"
    assert [await found(client, "more") for client in (one, two)] == [[info], [info]]
    destroyed = await one.call(Opcode.DESTROY_OBJECT, DestroyObject(object_id), operation_id=2)
    assert (destroyed.status, destroyed.body) == (Status.OK, EMPTY_BODY)
    for client in (one, two):
        assert (await read(client, object_id)).status == Status.KEY_NOT_FOUND
        assert await found(client) == []


async def test_requests_that_are_sent_twice_are_done_once(start_node: Start) -> None:
    clients = [await start_node().client() for _ in range(2)]
    object_id = os.urandom(16)

    async def twice(opcode: int, body: msgspec.Struct, operation_id: int) -> set[bytes]:
        calls = (client.call(opcode, body, operation_id=operation_id) for client in clients)
        answers = await asyncio.gather(*calls)
        assert {answer.status for answer in answers} == {Status.OK}
        return {answer.body for answer in answers}

    made = await twice(Opcode.CREATE_OBJECT, CreateObject(object_id, "data", b"v"), 1)
    assert [decode_body(ObjectInfo, body).version for body in made] == [1]
    changed = await twice(Opcode.UPDATE_OBJECT, UpdateObject(object_id, 1, label="l"), 2)
    assert [decode_body(ObjectInfo, body).version for body in changed] == [2]
    assert await twice(Opcode.DESTROY_OBJECT, DestroyObject(object_id), 3) == {EMPTY_BODY}
    assert await twice(Opcode.DESTROY_OBJECT, DestroyObject(object_id), 3) == {EMPTY_BODY}


async def test_a_destroyed_object_never_comes_back(start_node: Start) -> None:
    one, two = await start_node().client(), await start_node().client()
    body = CreateObject(os.urandom(16), "data", b"v", "gone")
    await one.call(Opcode.CREATE_OBJECT, body)
    await one.call(Opcode.DESTROY_OBJECT, DestroyObject(body.object_id), operation_id=1)
    for client in (one, two, await start_node().client()):
        assert (await client.call(Opcode.CREATE_OBJECT, body)).status == Status.KEY_NOT_FOUND
        other = CreateObject(body.object_id, "data", b"w")
        assert (await client.call(Opcode.CREATE_OBJECT, other)).status == Status.KEY_EXISTS
        update = UpdateObject(body.object_id, label="x")
        assert (await client.call(Opcode.UPDATE_OBJECT, update, operation_id=9)).status == Status.KEY_NOT_FOUND
        destroy = DestroyObject(body.object_id)
        assert (await client.call(Opcode.DESTROY_OBJECT, destroy, operation_id=9)).status == Status.KEY_NOT_FOUND


async def test_objects_are_there_again_after_a_restart(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    kept, gone = await create(client, b"kept"), await create(client, b"gone")
    await client.call(Opcode.DESTROY_OBJECT, DestroyObject(gone))
    await node.stop()
    again = start_node()
    client = await again.client()
    assert value_of(await read(client, kept)) == b"kept"
    assert (await read(client, gone)).status == Status.KEY_NOT_FOUND
    assert (again.keystore.objects.live, again.keystore.follower.refused) == (1, {})


async def test_find_goes_page_by_page(start_node: Start) -> None:
    client = await start_node().client()
    ids = sorted([await create(client, label="a" if number % 2 else "b") for number in range(7)])
    assert [info.object_id for info in await found(client)] == ids
    page = await found(client, None, None, ids[2], 3)
    assert [info.object_id for info in page] == ids[3:6]
    assert len(await found(client, "a")) == 3
    assert await found(client, None, "certificate") == await found(client, "none") == []
    wrong = await client.call(Opcode.FIND_OBJECTS, FindObjects(limit=MAX_FIND_LIMIT + 1))
    assert wrong.status == Status.BAD_REQUEST


@pytest.mark.parametrize(
    ("kind", "value", "label"),
    [
        ("certificate", b"no certificate", ""),
        ("public-key", b"no key", ""),
        ("secret", b"v", ""),
        ("data", b"v", "a\nb"),
        ("data", bytes(MAX_OBJECT_BYTES + 1), ""),
    ],
)
async def test_what_is_no_object_is_refused(start_node: Start, kind: str, value: bytes, label: str) -> None:
    node = start_node()
    client = await node.client()
    answer = await client.call(Opcode.CREATE_OBJECT, CreateObject(os.urandom(16), kind, value, label))
    assert answer.status == Status.BAD_REQUEST
    assert node.keystore.objects.live == 0


async def test_the_largest_value_is_taken_and_given_back(start_node: Start) -> None:
    client = await start_node().client()
    value = os.urandom(MAX_OBJECT_BYTES)
    assert value_of(await read(client, await create(client, value))) == value


async def test_a_change_names_the_version_that_it_means(start_node: Start) -> None:
    client = await start_node().client()
    object_id = await create(client)
    stale = await client.call(Opcode.UPDATE_OBJECT, UpdateObject(object_id, 2, label="x"), operation_id=1)
    assert stale.status == Status.KEY_CHANGED


async def test_nobody_sees_or_changes_the_objects_of_another_partition(start_node: Start) -> None:
    client = await start_node().client()
    client.bind(OTHER_PARTITION, "spiffe://dev/client/other", 2)
    theirs = {"principal": OTHER_PARTITION}
    object_id = await create(client, b"ours", "label")
    for opcode, body in (
        (Opcode.READ_OBJECT, ReadObject(object_id)),
        (Opcode.UPDATE_OBJECT, UpdateObject(object_id, label="x")),
        (Opcode.DESTROY_OBJECT, DestroyObject(object_id)),
    ):
        answer, unknown = [
            await client.call(opcode, msgspec.structs.replace(body, object_id=one), **theirs)
            for one in (object_id, os.urandom(16))
        ]
        assert answer.status == Status.KEY_NOT_FOUND
        assert answer.body == unknown.body
    assert await found(client, "label", **theirs) == []
    same = await client.call(Opcode.CREATE_OBJECT, CreateObject(object_id, "data", b"theirs"), **theirs)
    assert same.status == Status.OK
    assert value_of(await read(client, object_id)) == b"ours"
    assert value_of(await read(client, object_id, **theirs)) == b"theirs"


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("use", {Opcode.READ_OBJECT, Opcode.FIND_OBJECTS}), ("audit", set()), ("operate", set())],
)
async def test_roles_are_held_to(start_node: Start, role: str, allowed: set[Opcode]) -> None:
    client = await start_node().client()
    object_id = await create(client)
    client.bind(9, "spiffe://dev/client/some", 1, (role,))
    for opcode, body in (
        (Opcode.READ_OBJECT, ReadObject(object_id)),
        (Opcode.FIND_OBJECTS, FindObjects()),
        (Opcode.CREATE_OBJECT, CreateObject(os.urandom(16), "data", b"v")),
        (Opcode.UPDATE_OBJECT, UpdateObject(object_id, label="x")),
        (Opcode.DESTROY_OBJECT, DestroyObject(object_id)),
    ):
        answer = await client.call(opcode, body, principal=9)
        assert (answer.status == Status.OK) == (opcode in allowed), opcode
        assert answer.status in (Status.OK, Status.DENIED)


async def test_a_partition_that_has_its_share_gets_no_more_and_another_one_does(start_node: Start) -> None:
    node = start_node(limits="object_bytes = 70000")
    client = await node.client()
    client.bind(OTHER_PARTITION, "spiffe://dev/client/other", 2)
    first = await create(client, bytes(60_000))
    body = CreateObject(os.urandom(16), "data", bytes(9_000))
    full = await client.call(Opcode.CREATE_OBJECT, body)
    assert full.status == Status.OVER_QUOTA
    assert decode_body(Failure, full.body).retry_after_ms > 10_000
    assert await create(client, bytes(9_000), principal=OTHER_PARTITION)
    grown = await client.call(Opcode.UPDATE_OBJECT, UpdateObject(first, value=bytes(MAX_OBJECT_BYTES)), operation_id=1)
    assert grown.status == Status.OK
    grown = await client.call(Opcode.UPDATE_OBJECT, UpdateObject(first, value=bytes(50_000)), operation_id=2)
    assert grown.status == Status.OK
    assert (await client.call(Opcode.CREATE_OBJECT, body)).status == Status.OK
    grown = await client.call(Opcode.UPDATE_OBJECT, UpdateObject(first, value=bytes(60_000)), operation_id=3)
    assert grown.status == Status.OVER_QUOTA
    for object_id in (first, body.object_id):
        await client.call(Opcode.DESTROY_OBJECT, DestroyObject(object_id), operation_id=4)
    assert node.keystore.objects.bytes_of(1) == 0


async def test_a_share_holds_for_requests_at_the_same_time(start_node: Start) -> None:
    node = start_node(limits="object_bytes = 70000")
    client = await node.client()
    for _ in range(10):
        client.request(Opcode.CREATE_OBJECT, CreateObject(os.urandom(16), "data", bytes(30_000)))
    statuses = [(await client.frame()).status for _ in range(10)]
    assert sorted(statuses) == [Status.OK] * 2 + [Status.OVER_QUOTA] * 8
    assert node.keystore.objects.live == 2


async def test_without_its_store_a_node_shows_and_changes_no_object(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    object_id = await create(client)
    node.store.close()
    assert (await read(client, object_id)).status == Status.NOT_CURRENT
    made = await client.call(Opcode.CREATE_OBJECT, CreateObject(os.urandom(16), "data", b"v"))
    assert made.status == Status.STORE_UNAVAILABLE
