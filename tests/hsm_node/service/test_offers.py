"""What the cluster can do, found by two real nodes that share a store, one of which can do less."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsm_node.backends import software
from hsm_node.backends.base import Outcome
from hsm_wire import mechanisms as ckm
from hsm_wire.messages import DestroyKey, Empty, GenerateKey, InfoResult, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

KEY, OTHER = b"k" * 16, b"o" * 16
LESS = {number: usages for number, usages in software.IMPLEMENTED.items() if number != ckm.CKM_EDDSA}
NODE_2 = '[[nodes]]\nname = "node-2"\nsite = "local"\npaths = [{ uplink = "lo", address = "127.0.0.1:2421" }]\n'
Start = Callable[..., Any]


@pytest.fixture
def start_less(start_node: Start, node_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """What starts node-2, which has not proved EdDSA."""

    def start() -> Any:
        config = node_folder / "node.toml"
        config.write_text(config.read_text().replace("node-1", "node-2"))
        monkeypatch.setattr(software, "own_outcome", lambda: Outcome(LESS, ()))
        return start_node()

    with (node_folder / "cluster.toml").open("a") as cluster:
        cluster.write(NODE_2)
    return start


async def ask(node: Any, opcode: Opcode, body: Any) -> Any:
    """Ask over a connection of its own: on a busy machine a node may stand still, and drops those that are open."""
    client = await node.client()
    return await client.call(opcode, body)


async def info(node: Any) -> InfoResult:
    return decode_body(InfoResult, (await ask(node, Opcode.INFO, Empty())).body)


async def until(node: Any, condition: Callable[[], bool]) -> None:
    """Wait for what a node finds in the store; nobody asks it anything meanwhile."""
    async with asyncio.timeout(30):
        while not condition():
            node.keystore.follower.follow()
            await asyncio.sleep(0.02)


async def made(node: Any, key_id: bytes) -> Status:
    return Status((await ask(node, Opcode.GENERATE_KEY, GenerateKey(key_id, "ed25519"))).status)


async def test_what_one_node_cannot_do_the_cluster_does_not_offer(start_node: Start, start_less: Start) -> None:
    one = start_node()
    assert "ed25519" in (await info(one)).key_types
    two = start_less()
    await until(one, lambda: "ed25519" not in one.keystore.offers.key_types)
    for asked in (one, two):
        seen = await info(asked)
        assert "ed25519" not in seen.key_types
        assert "ec-p256" in seen.key_types
        assert {row.number for row in seen.mechanisms} == set(LESS)
        assert await made(asked, KEY) is Status.MECHANISM_NOT_HERE
    assert (one.keystore.offers.lacks, two.keystore.offers.lacks) == ("", "")


async def test_a_node_that_cannot_use_what_is_stored_says_so_and_lowers_nobody(
    start_node: Start, start_less: Start
) -> None:
    one = start_node()
    assert await made(one, KEY) is Status.OK
    two = start_less()
    await until(two, lambda: two.keystore.offers.lacks == "it cannot use keys of type ed25519 (1 stored)")
    await until(one, lambda: "node-2" in one.keystore.offers._rows.held)
    assert "ed25519" in (await info(one)).key_types
    assert "ed25519" in (await info(two)).key_types
    assert await made(two, OTHER) is Status.MECHANISM_NOT_HERE, "another node makes it"
    assert await made(one, OTHER) is Status.OK
    for key_id in (KEY, OTHER):
        await ask(one, Opcode.DESTROY_KEY, DestroyKey(key_id))
    await until(two, lambda: not two.keystore.offers.lacks)
    assert "ed25519" not in (await info(one)).key_types


async def test_a_node_that_can_do_all_again_says_so(
    start_node: Start, start_less: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = start_less()
    await until(two, lambda: "node-2" in two.keystore.offers._rows.held)
    await two.stop()
    monkeypatch.setattr(software, "own_outcome", lambda: Outcome(software.IMPLEMENTED, ()))
    again = start_node()
    held = again.keystore.offers._rows.held
    await until(again, lambda: "node-2" in held and "ed25519" in held["node-2"].record.key_types)
    assert held["node-2"].record.order == 2
