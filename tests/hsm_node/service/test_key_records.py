"""Create, change and destroy through real nodes that share a store."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from hsm_wire.frames import Frame
from hsm_wire.messages import (
    DescribeKey,
    DestroyKey,
    FindKeys,
    FindKeysResult,
    GenerateKey,
    ImportKey,
    KeyInfo,
    RotateKey,
    UpdateKey,
    decode_body,
)
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]


async def test_generate_sent_twice_at_once_through_two_nodes_makes_one_key(start_node: Start) -> None:
    one, two = await start_node().client(), await start_node().client()
    for key_type in ("ec-p256", "aes-256"):
        body = GenerateKey(os.urandom(16), key_type, "twice")
        answers = await asyncio.gather(*(client.call(Opcode.GENERATE_KEY, body) for client in (one, two)))
        again = await two.call(Opcode.GENERATE_KEY, body)
        assert {answer.body for answer in (*answers, again)} == {again.body}
        assert again.status == Status.OK


async def test_import_sent_twice_is_one_key_and_another_import_is_refused(start_node: Start) -> None:
    one, two = await start_node().client(), await start_node().client()
    key_id = os.urandom(16)
    body = ImportKey(key_id, "hmac-256", b"m" * 32)
    answers = await asyncio.gather(*(client.call(Opcode.IMPORT_KEY, body) for client in (one, two)))
    assert [answer.status for answer in answers] == [0, 0]
    other = await two.call(Opcode.IMPORT_KEY, ImportKey(key_id, "hmac-256", b"n" * 32))
    generated = await one.call(Opcode.GENERATE_KEY, GenerateKey(key_id, "hmac-256"))
    assert other.status == generated.status == Status.KEY_EXISTS


async def test_two_different_creates_at_once_make_one_key(start_node: Start) -> None:
    clients = [await start_node().client() for _ in range(2)]
    key_id = os.urandom(16)
    answers = await asyncio.gather(
        *(
            c.call(Opcode.GENERATE_KEY, GenerateKey(key_id, t))
            for c, t in zip(clients, ("ec-p256", "ec-p384"), strict=True)
        )
    )
    assert sorted(answer.status for answer in answers) == [Status.OK, Status.KEY_EXISTS]


async def test_changes_sent_twice_at_once_happen_once(start_node: Start) -> None:
    one, two = await start_node().client(), await start_node().client()
    key_id = os.urandom(16)
    await one.call(Opcode.GENERATE_KEY, GenerateKey(key_id, "ec-p256", "a"))
    body = UpdateKey(key_id, 1, label="b")
    answers: list[Frame] = await asyncio.gather(*(c.call(Opcode.UPDATE_KEY, body, operation_id=77) for c in (one, two)))
    infos = [decode_body(KeyInfo, answer.body) for answer in answers]
    assert [info.version for info in infos] == [2, 2]
    stale = await two.call(Opcode.UPDATE_KEY, body, operation_id=78)
    assert stale.status == Status.KEY_CHANGED


async def test_a_destroyed_key_serves_no_request_that_follows_and_never_comes_back(start_node: Start) -> None:
    one, two = await start_node().client(), await start_node().client()
    key_id = os.urandom(16)
    create = GenerateKey(key_id, "ec-p256", "gone")
    await one.call(Opcode.GENERATE_KEY, create)
    assert (await two.call(Opcode.DESCRIBE_KEY, DescribeKey(key_id))).status == Status.OK
    answers = await asyncio.gather(
        *(c.call(Opcode.DESTROY_KEY, DestroyKey(key_id), operation_id=9) for c in (one, two))
    )
    assert [answer.status for answer in answers] == [Status.OK, Status.OK]
    for client in (one, two):
        for opcode, body in (
            (Opcode.DESCRIBE_KEY, DescribeKey(key_id)),
            (Opcode.GENERATE_KEY, create),
            (Opcode.DESTROY_KEY, DestroyKey(key_id)),
        ):
            assert (await client.call(opcode, body)).status == Status.KEY_NOT_FOUND
        found = await client.call(Opcode.FIND_KEYS, FindKeys("gone"))
        assert decode_body(FindKeysResult, found.body).keys == []
    other = await one.call(Opcode.GENERATE_KEY, GenerateKey(key_id, "ec-p384"))
    assert other.status == Status.KEY_EXISTS


async def test_an_import_waits_neither_behind_generations_nor_behind_the_store_nor_counts_as_a_signature(
    start_node: Start,
) -> None:
    node = start_node()
    client = await node.client()
    gate = threading.Event()
    blocked = [asyncio.ensure_future(node.keystore.generation.run(1e12, gate.wait))]
    made = threading.Event()
    real = node.keystore.service._rows[Opcode.IMPORT_KEY].handler.__self__._backend

    class Backend:
        key_types = real.key_types

        def import_key(self, key_type: Any, material: bytes) -> Any:
            made.set()
            assert threading.current_thread().name.startswith("session")
            return real.import_key(key_type, material)

    node.keystore.service._rows[Opcode.IMPORT_KEY].handler.__self__._backend = Backend()
    blocked.append(asyncio.ensure_future(node.keystore.writer.run(1e12, gate.wait)))
    client.request(Opcode.IMPORT_KEY, ImportKey(os.urandom(16), "hmac-256", b"m" * 32))
    await asyncio.wait_for(asyncio.to_thread(made.wait), 10)
    gate.set()
    assert (await client.frame()).status == Status.OK
    assert await asyncio.gather(*blocked) == [True, True]
    assert node.keystore.window.mean_service_s == 0.0


async def test_a_rotation_that_is_sent_again_waits_for_the_change_of_the_old_key(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    old, new = os.urandom(16), os.urandom(16)
    await client.call(Opcode.GENERATE_KEY, GenerateKey(old, "aes-256"))
    asked = []

    def unconfirmed(revision: int) -> Future[list[str]]:
        asked.append(revision)
        names: Future[list[str]] = Future()
        names.set_result([])
        return names

    node.keystore.store.unconfirmed = unconfirmed
    for _ in range(2):
        answer = await client.call(Opcode.ROTATE_KEY, RotateKey(old, new), operation_id=2)
        assert decode_body(KeyInfo, answer.body).key_id == new
    assert asked == [node.store.read(node.keystore.keyring.name(1, old)).revision] * 2
