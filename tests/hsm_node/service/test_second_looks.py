"""What is unknown here and known to the store."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hsm_node.service.second_looks import MAX_WAITING
from hsm_node.store.base import StoreError
from hsm_node.store.sqlite import SqliteStore
from hsm_wire.messages import DescribeKey, GenerateKey
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]
KEY = b"k" * 16


@pytest.fixture
async def late(start_node: Start, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A node whose store shows what others wrote only after it was asked for it."""
    node = start_node()
    store: SqliteStore = node.store
    looked = [True]
    changed, catch_up = store.changed, store.catch_up

    def caught_up() -> None:
        catch_up()
        looked[0] = True

    monkeypatch.setattr(SqliteStore, "serves_stale", True)
    monkeypatch.setattr(store, "changed", lambda: looked[0] and changed())
    monkeypatch.setattr(store, "catch_up", caught_up)
    node.shut_eyes = lambda: looked.__setitem__(0, False)
    return node


async def made_elsewhere(node: Any, start: Start) -> None:
    """Have another node on the same store make the key."""
    node.shut_eyes()
    other = start()
    client = await other.client()
    assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(KEY, "aes-128"))).status == Status.OK


async def test_a_key_that_was_made_a_moment_ago_is_found(late: Any, start_node: Start) -> None:
    client = await late.client()
    await made_elsewhere(late, start_node)
    assert (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(KEY))).status == Status.OK
    assert late.keystore.second_looks.looks == 1


async def test_what_is_nowhere_is_not_found_after_one_look(late: Any) -> None:
    client = await late.client()
    assert (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(KEY))).status == Status.KEY_NOT_FOUND
    assert late.keystore.second_looks.looks == 1


async def test_many_unknown_ids_at_once_cost_a_look_or_two_and_too_many_are_refused(late: Any) -> None:
    client = await late.client()
    for number in range(2 * MAX_WAITING):
        client.request(Opcode.DESCRIBE_KEY, DescribeKey(number.to_bytes(16, "big")))
    statuses = [(await client.frame()).status for _ in range(2 * MAX_WAITING)]
    assert set(statuses) <= {Status.KEY_NOT_FOUND, Status.OVERLOADED}
    assert statuses.count(Status.KEY_NOT_FOUND) >= MAX_WAITING
    assert late.keystore.second_looks.looks < MAX_WAITING


async def test_without_the_store_nobody_knows(late: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> bool:
        raise StoreError("away")

    client = await late.client()
    monkeypatch.setattr(late.store, "catch_up", away)
    assert (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(KEY))).status == Status.NOT_CURRENT
    monkeypatch.setattr(late.store, "changed", away)
    assert (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(KEY))).status == Status.NOT_CURRENT
    await asyncio.sleep(0)
    assert late.keystore.second_looks.looks == 1


async def test_a_look_that_fails_inside_answers_who_waits_and_the_next_one_is_made(
    late: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError

    client = await late.client()
    with monkeypatch.context() as patched:
        patched.setattr(late.store, "catch_up", broken)
        assert (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(KEY))).status == Status.DEVICE_ERROR
    assert (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(KEY))).status == Status.KEY_NOT_FOUND


async def test_where_every_look_is_the_newest_state_there_is_no_second(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    assert (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(KEY))).status == Status.KEY_NOT_FOUND
    assert node.keystore.second_looks.looks == 0
