"""Destructions with a time, through real nodes that share a store; their clock is moved."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from hsm_daemon import clock
from hsm_wire import mechanisms as ckm
from hsm_wire.messages import (
    NIL_PARAMETERS,
    DescribeKey,
    DestroyKey,
    GenerateKey,
    KeyInfo,
    Policy,
    Sign,
    UpdateKey,
    decode_body,
)
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the time of day."""
    now = clock.now

    def move(seconds: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: now() + seconds)

    return move


async def status_of(client: Any, key: bytes) -> int:
    return int((await client.call(Opcode.DESCRIBE_KEY, DescribeKey(key))).status)


async def wait_gone(client: Any, key: bytes) -> None:
    async with asyncio.timeout(10):
        while await status_of(client, key) != Status.KEY_NOT_FOUND:
            await asyncio.sleep(0.05)


async def test_a_key_with_a_time_serves_nobody_until_then_and_is_gone_after_it(
    start_node: Start, later: Callable[[float], None]
) -> None:
    one, two = await start_node().client(), await start_node().client()
    key = os.urandom(16)
    await one.call(Opcode.GENERATE_KEY, GenerateKey(key, "ec-p256"))
    assert (await one.call(Opcode.DESTROY_KEY, DestroyKey(key, 3600), operation_id=1)).status == Status.OK
    info = decode_body(KeyInfo, (await two.call(Opcode.DESCRIBE_KEY, DescribeKey(key))).body)
    assert info.destroy_at >= info.created + 3600
    sign = Sign(key, ckm.CKM_ECDSA_SHA256, NIL_PARAMETERS, b"data")
    assert (await two.call(Opcode.SIGN, sign)).status == Status.KEY_DISABLED
    later(3590)
    await asyncio.sleep(1.5)
    assert await status_of(two, key) == Status.OK
    later(3605)
    await wait_gone(two, key)
    assert await status_of(one, key) == Status.KEY_NOT_FOUND


async def test_who_enables_the_key_in_time_keeps_it(start_node: Start, later: Callable[[float], None]) -> None:
    client = await start_node().client()
    kept, lost = os.urandom(16), os.urandom(16)
    for number, key in enumerate((kept, lost)):
        policy = Policy(destruction_wait_s=3600)
        await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "ec-p256", policy=policy))
        await client.call(Opcode.DESTROY_KEY, DestroyKey(key), operation_id=10 + number)
    assert await status_of(client, kept) == Status.OK, "the policy makes every destruction wait"
    await client.call(Opcode.UPDATE_KEY, UpdateKey(kept, enabled=True), operation_id=3)
    later(4000)
    await wait_gone(client, lost)
    sign = Sign(kept, ckm.CKM_ECDSA_SHA256, NIL_PARAMETERS, b"data")
    assert (await client.call(Opcode.SIGN, sign)).status == Status.OK


async def test_nodes_that_do_not_confirm_a_destruction_are_named_in_the_log(
    start_node: Start, later: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    node = start_node()
    client = await node.client()
    asked, names = [], Future[list[str]]()
    names.set_result(["node-2"])
    for number in range(3):
        key = os.urandom(16)
        await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "aes-256"), operation_id=number + 1)
        await client.call(Opcode.DESTROY_KEY, DestroyKey(key, 3600), operation_id=number + 10)
    node.keystore.store.unconfirmed = lambda revision: asked.append(revision) or names
    later(4000)
    await wait_gone(client, key)
    async with asyncio.timeout(10):
        while not asked:
            await asyncio.sleep(0.05)
    assert asked == [node.keystore.follower.applied_revision]  # of the last one: who has that has all of them
    assert "a key is destroyed, and nodes have not confirmed it" in caplog.messages
