"""Rotation of the master key through real nodes that share a store."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.core.resealing import FORMATS
from hsm_wire import mechanisms as ckm
from hsm_wire.administration import MasterKeyStatus, Report, SetNodeState
from hsm_wire.messages import NIL_PARAMETERS, DestroyKey, Empty, GenerateKey, Sign, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[..., Any]
OPERATOR = "spiffe://dev/operator/ops"
OLD, NEW = bytes(range(32)), b"n" * 32
NEXT = 'next_master_key = { file = "next.key" }\n'


def give_next(folder: Path, key: bytes = NEW) -> None:
    """Configure the next master key."""
    file = folder / "next.key"
    file.touch(mode=0o600)
    file.write_text(key.hex())
    config = folder / "node.toml"
    if NEXT not in config.read_text():
        config.write_text(config.read_text().replace("[keystore]\n", f"[keystore]\n{NEXT}"))


def take_over(folder: Path, key: bytes = NEW) -> None:
    """Make a key the only master key."""
    (folder / "master.key").write_text(key.hex())
    config = folder / "node.toml"
    config.write_text(config.read_text().replace(NEXT, ""))


async def operator(node: Any) -> Any:
    client = await node.client()
    client.bind(8, OPERATOR, 0, ("operate",))
    return client


async def status(client: Any) -> MasterKeyStatus:
    answer = await client.call(Opcode.MASTER_KEY_STATUS, Empty(), principal=8)
    assert answer.status == Status.OK
    return decode_body(MasterKeyStatus, answer.body)


async def until(client: Any, condition: Callable[[MasterKeyStatus], bool]) -> MasterKeyStatus:
    async with asyncio.timeout(15):
        while not condition(seen := await status(client)):
            await asyncio.sleep(0.05)
    return seen


async def rotate(client: Any) -> Report:
    answer = await client.call(Opcode.ROTATE_MASTER_KEY, Empty(), principal=8)
    assert answer.status == Status.OK, answer.body
    return decode_body(Report, answer.body)


async def make_keys(client: Any, count: int) -> list[bytes]:
    ids = [os.urandom(16) for _ in range(count)]
    for key in ids:
        assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "ec-p256"))).status == Status.OK
    return ids


async def signs(client: Any, key: bytes) -> bool:
    answer = await client.call(Opcode.SIGN, Sign(key, ckm.CKM_ECDSA_SHA256, NIL_PARAMETERS, b"data"))
    return bool(answer.status == Status.OK)


async def test_without_a_next_key_there_is_nothing_to_rotate_to_and_nothing_is_written(
    start_node: Start, text_of: Callable[..., str]
) -> None:
    node = start_node()
    client = await operator(node)
    answer = await client.call(Opcode.ROTATE_MASTER_KEY, Empty(), principal=8)
    assert answer.status == Status.BAD_REQUEST
    assert "node-1 holds no next master key" in text_of(answer)
    assert "beside a node whose master key is in a device it is not rotated" in text_of(answer)
    seen = await status(client)
    assert (seen.version, seen.next_fingerprint, seen.left, seen.records) == (1, "", 0, 0)
    assert seen.fingerprint == Keyring(OLD).fingerprint().hex()
    assert [(each.node, each.held) for each in seen.nodes] == [("node-1", [])]


async def test_a_master_key_in_a_device_is_not_rotated_and_it_says_what_is_to_be_done(
    start_node: Start, text_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node()
    client = await operator(node)
    monkeypatch.setattr(type(node.keystore.keyring), "remote", True)
    answer = await client.call(Opcode.ROTATE_MASTER_KEY, Empty(), principal=8)
    assert answer.status == Status.BAD_REQUEST
    text = text_of(answer)
    assert "is in a device, which brings no key under another one" in text
    assert "next_master_key" not in text


async def test_an_operator_rotates_and_nobody_else(start_node: Start) -> None:
    client = await start_node().client()
    for opcode in (Opcode.ROTATE_MASTER_KEY, Opcode.MASTER_KEY_STATUS):
        assert (await client.call(opcode, Empty())).status == Status.DENIED


async def test_every_record_comes_under_the_new_key_and_every_key_goes_on(start_node: Start, node_folder: Path) -> None:
    give_next(node_folder)
    node = start_node()
    user, client = await node.client(), await operator(node)
    keys = await make_keys(user, 5)
    assert (await user.call(Opcode.DESTROY_KEY, DestroyKey(keys.pop()), operation_id=7)).status == Status.OK
    state = SetNodeState("node-1", "drain")
    assert (await client.call(Opcode.SET_NODE_STATE, state, principal=8, operation_id=8)).status == Status.OK
    before = await until(client, lambda seen: bool(seen.nodes[0].held))
    assert (before.version, before.next_fingerprint) == (1, Keyring(NEW).fingerprint().hex())
    report = await rotate(client)
    assert (report.ok, "version 2" in report.lines[0]) == (True, True)
    seen = await until(client, lambda seen: seen.settled)
    assert (seen.version, seen.left, seen.records, seen.refused) == (2, 0, 7, 0)
    assert seen.nodes[0].used == seen.fingerprint == Keyring(NEW).fingerprint().hex()
    assert [await signs(user, key) for key in keys] == [True] * 4
    assert node.keystore.rewrapping.done >= 6
    assert (await rotate(client)).lines == report.lines[:1], "asked again, it has been done"
    page = node.node._metrics.page().decode()
    assert "hsm_node_records_old_master_key 0.0" in page
    assert "hsm_node_master_key_version 2.0" in page
    await node.stop()
    take_over(node_folder)
    alone = start_node()
    alone.keystore.master_keys.start()
    assert [await signs(await alone.client(), key) for key in keys] == [True] * 4
    assert alone.keystore.administration.state_of("node-1") == "drain"


async def test_a_node_that_lacks_the_next_key_holds_the_rotation_up_and_is_named(
    start_node: Start, node_folder: Path, text_of: Callable[..., str]
) -> None:
    give_next(node_folder)
    cluster = node_folder / "cluster.toml"
    second = '[[nodes]]\nname = "node-2"\nsite = "local"\npaths = [{ uplink = "lo", address = "127.0.0.1:2421" }]\n'
    cluster.write_text(cluster.read_text().replace("[[partitions]]", f"{second}[[partitions]]"))
    client = await operator(start_node())
    await until(client, lambda seen: bool(seen.nodes[0].held))
    answer = await client.call(Opcode.ROTATE_MASTER_KEY, Empty(), principal=8)
    assert answer.status == Status.BAD_REQUEST
    assert text_of(answer).startswith("node-2 cannot open what is under the next master key")
    assert (await status(client)).version == 1


async def test_a_node_that_died_in_the_middle_goes_on_at_its_next_start(start_node: Start, node_folder: Path) -> None:
    give_next(node_folder)
    node = start_node("rewraps_per_s = 10")
    keys = await make_keys(await node.client(), 20)
    client = await operator(node)
    await until(client, lambda seen: bool(seen.nodes[0].held))
    await rotate(client)
    await until(client, lambda seen: 0 < seen.left < 18)
    await node.stop()
    again = start_node()
    again.keystore.master_keys.start()
    client = await operator(again)
    first = await status(client)
    assert (first.version, 0 < first.left < 18, first.settled) == (2, True, False)
    assert (await rotate(client)).lines[1].startswith(f"{first.left} records")
    seen = await until(client, lambda seen: seen.settled)
    assert (seen.left, seen.refused) == (0, 0)
    user = await again.client()
    assert [await signs(user, key) for key in keys] == [True] * 20


async def test_two_nodes_at_once_do_no_harm_and_both_follow(start_node: Start, node_folder: Path) -> None:
    give_next(node_folder)
    one, two = start_node("rewraps_per_s = 1000"), start_node()
    user = await one.client()
    keys = await make_keys(user, 30)
    clients = [await operator(one), await operator(two)]
    for client in clients:
        await until(client, lambda seen: bool(seen.nodes[0].held))
    await asyncio.gather(*(rotate(client) for client in clients))
    for client in clients:
        await until(client, lambda seen: seen.version == 2 and seen.left == 0)
    done = one.keystore.rewrapping.done + two.keystore.rewrapping.done
    assert 30 <= done <= 34, "each record once, and the rows of what nodes say"
    assert not one.keystore.follower.refused
    assert not two.keystore.follower.refused
    assert [await signs(await two.client(), key) for key in keys] == [True] * 30


async def test_a_node_with_the_new_key_alone_does_not_start_while_records_are_left(
    start_node: Start, node_folder: Path
) -> None:
    give_next(node_folder)
    node = start_node("rewraps_per_s = 1")
    await make_keys(await node.client(), 9)
    client = await operator(node)
    await until(client, lambda seen: bool(seen.nodes[0].held))
    await rotate(client)
    await node.stop()
    take_over(node_folder)
    with pytest.raises(StartError, match=r"records do not open under this master key, .* has not ended"):
        start_node().keystore.master_keys.start()


@pytest.mark.parametrize("settled", [False, True])
async def test_a_next_key_that_is_older_is_refused(start_node: Start, node_folder: Path, settled: bool) -> None:
    give_next(node_folder)
    node = start_node(f"rewraps_per_s = {1000 if settled else 1}")
    await make_keys(await node.client(), 9)
    client = await operator(node)
    await until(client, lambda seen: bool(seen.nodes[0].held))
    await rotate(client)
    if settled:
        await until(client, lambda seen: seen.settled)
    await node.stop()
    give_next(node_folder, OLD)
    (node_folder / "master.key").write_text(NEW.hex())
    with pytest.raises(StartError, match="exchange them"):
        start_node().keystore.master_keys.start()


async def test_a_node_that_lost_the_next_key_says_so_before_it_serves(start_node: Start, node_folder: Path) -> None:
    give_next(node_folder)
    node = start_node()
    client = await operator(node)
    await until(client, lambda seen: len(seen.nodes[0].held) == 2)
    await node.stop()
    take_over(node_folder, OLD)
    alone = start_node()
    alone.keystore.master_keys.start()
    assert [len(each.held) for each in (await status(await operator(alone))).nodes] == [1]


async def test_a_store_that_was_rotated_a_moment_ago_needs_the_new_key(start_node: Start, node_folder: Path) -> None:
    give_next(node_folder)
    node = start_node()
    node.keystore.master_keys.start()
    take_over(node_folder, OLD)
    late = start_node()
    assert node.store.reseal(node.keystore.keyring, 2, {})
    with pytest.raises(StartError, match="under a newer master key"):
        late.keystore.master_keys.start()


async def test_a_rotation_knows_every_kind_of_row_that_a_node_follows(start_node: Start) -> None:
    assert set(start_node().keystore.follower._kinds._by_format) == FORMATS
