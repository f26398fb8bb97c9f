"""AES-GCM encryptions out of blocks, through real nodes that share a store."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from counted_keys import PARTITION, FailingStore, encrypt, leave, new_key, record_of

from hsm_node.core.use_limits import GCM_AHEAD, GCM_BLOCK, GCM_ENCRYPTIONS
from hsm_node.service import encryption_leases
from hsm_wire import mechanisms as ckm
from hsm_wire.frames import Frame
from hsm_wire.kinds import Flag
from hsm_wire.messages import NIL_PARAMETERS as NIL
from hsm_wire.messages import DescribeKey, DestroyKey, Encrypt, KeyInfo, Policy, UpdateKey, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.parameters import GcmParameters
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag

Start = Callable[[], Any]
TextOf = Callable[[Frame], str]


def lease_of(node: Any, key: bytes) -> Any:
    return node.keystore.meter.encryptions._leases[PARTITION, key]


async def at_once(client: Any, key: bytes, count: int) -> Counter[int]:
    for _ in range(count):
        client.request(Opcode.ENCRYPT, Encrypt(key, ckm.CKM_AES_GCM, NIL, b"data"))
    return Counter([(await client.frame()).status for _ in range(count)])


async def test_the_first_encryption_takes_a_block_and_the_next_ones_need_no_store(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    key = await new_key(client, "aes-256")
    store = FailingStore(node)
    assert (await encrypt(client, key)).status == Status.OK
    store.failing = True
    for _ in range(20):
        assert (await encrypt(client, key)).status == Status.OK
    assert (store.written, record_of(node, key).gcm_leased) == (1, GCM_BLOCK)
    assert lease_of(node, key).left == GCM_BLOCK - 21
    info = decode_body(KeyInfo, (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(key))).body)
    assert info.version == 1, "the owner sees nothing of it"


async def test_many_first_encryptions_at_once_take_one_block(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    key = await new_key(client, "aes-256")
    assert await at_once(client, key, 50) == {Status.OK: 50}
    assert record_of(node, key).gcm_leased == GCM_BLOCK
    assert lease_of(node, key).left == GCM_BLOCK - 50
    assert node.keystore.meter.encryptions.taken == 1


async def test_each_node_has_blocks_of_its_own(start_node: Start) -> None:
    nodes = [start_node() for _ in range(3)]
    clients = [await node.client() for node in nodes]
    key = await new_key(clients[0], "aes-256")
    answers = await asyncio.gather(*(encrypt(client, key) for client in clients))
    assert {answer.status for answer in answers} == {Status.OK}
    assert record_of(nodes[0], key).gcm_leased == 3 * GCM_BLOCK


async def test_the_next_block_is_there_before_the_last_is_used_up(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    key = await new_key(client, "aes-256")
    await encrypt(client, key)
    lease_of(node, key).left = GCM_AHEAD + 1
    assert await at_once(client, key, 20) == {Status.OK: 20}
    async with asyncio.timeout(10):
        # The record may come by way of the store, a moment before its lease is taken up.
        while lease_of(node, key).left < GCM_BLOCK:
            await asyncio.sleep(0.01)
    assert lease_of(node, key).left == GCM_AHEAD + 1 - 20 + GCM_BLOCK
    assert record_of(node, key).gcm_leased == 2 * GCM_BLOCK


async def test_what_is_left_is_used_without_the_store_and_then_nothing_is_encrypted(
    start_node: Start, text_of: TextOf
) -> None:
    node = start_node()
    client = await node.client()
    key = await new_key(client, "aes-256")
    await encrypt(client, key)
    store = FailingStore(node)
    store.failing = True
    lease_of(node, key).left = 5
    assert await at_once(client, key, 5) == {Status.OK: 5}
    refused = await encrypt(client, key)
    assert (refused.status, refused.flags) == (Status.STORE_UNAVAILABLE, Flag.NOT_EXECUTED)
    assert "send the request again" in text_of(refused)
    tried = node.keystore.failures.store
    assert tried in (1, 2), "ahead of time it is tried once a second, and when somebody waits"
    lease_of(node, key).left = 5
    await encrypt(client, key)
    assert node.keystore.failures.store == tried
    store.failing = False
    lease_of(node, key).retry_at = 0.0  # as if that second had passed
    await encrypt(client, key)
    async with asyncio.timeout(10):
        while lease_of(node, key).left < GCM_BLOCK:
            await asyncio.sleep(0.01)


async def test_of_the_last_encryptions_not_one_too_many_is_made_though_nodes_race(
    start_node: Start, text_of: TextOf
) -> None:
    nodes = [start_node() for _ in range(3)]
    clients = [await node.client() for node in nodes]
    key = await new_key(clients[0], "aes-256")
    await leave(nodes[0], key, 40)
    counts = await asyncio.gather(*(at_once(client, key, 30) for client in clients))
    total = sum(counts, Counter[int]())
    assert total[Status.OK] <= 40
    assert total == {Status.OK: total[Status.OK], Status.KEY_USAGE: 90 - total[Status.OK]}
    assert total[Status.OK] >= 30, "one node had all that were left"
    assert record_of(nodes[0], key).gcm_leased == GCM_ENCRYPTIONS
    refused = [await encrypt(client, key) for client in clients]
    assert {answer.status for answer in refused if answer.status} == {Status.KEY_USAGE}
    texts = {text_of(answer) for answer in refused if answer.status}
    assert texts == {"the key has made the 2^32 AES-GCM encryptions that random nonces are safe for: rotate the key"}


async def test_what_a_node_had_left_when_it_ended_is_lost_and_never_made_twice(start_node: Start) -> None:
    first = start_node()
    client = await first.client()
    key = await new_key(client, "aes-256")
    await leave(first, key, 3 * GCM_BLOCK)
    for count in (1, 2, 3):
        node = start_node()  # As after a restart: what the one before had in memory is not there.
        assert (await encrypt(await node.client(), key)).status == Status.OK
        assert record_of(first, key).gcm_leased == GCM_ENCRYPTIONS - (3 - count) * GCM_BLOCK
    assert (await encrypt(client, key)).status == Status.KEY_USAGE


async def test_encryptions_with_the_callers_own_nonce_count_as_well(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    key = await new_key(client, "aes-256", Policy(int(PolicyFlag.CALLER_IV)))
    parameters = msgspec.Raw(encode_body(GcmParameters(bytes(12))))
    body = Encrypt(key, ckm.CKM_AES_GCM, parameters, b"data")
    assert (await client.call(Opcode.ENCRYPT, body)).status == Status.OK
    assert lease_of(node, key).left == GCM_BLOCK - 1


async def test_a_key_disabled_while_its_first_encryption_waits_does_not_encrypt(start_node: Start) -> None:
    node = start_node()
    client, owner = await node.client(), await node.client()
    key = await new_key(client, "aes-256")
    waits = asyncio.ensure_future(encrypt(client, key))
    disabled = await owner.call(Opcode.UPDATE_KEY, UpdateKey(key, enabled=False), operation_id=1)
    assert (await waits).status in (Status.OK, Status.KEY_DISABLED)
    assert disabled.status == Status.OK
    assert (await encrypt(client, key)).status == Status.KEY_DISABLED


async def test_what_destroyed_keys_had_left_is_forgotten(start_node: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption_leases, "SPARE_LEASES", 0)
    node = start_node()
    client = await node.client()
    kept, *gone = [await new_key(client, "aes-256") for _ in range(4)]
    for key in (kept, *gone):
        await encrypt(client, key)
    leases = node.keystore.meter.encryptions
    leases.sweep()
    assert len(leases) == 4
    for number, key in enumerate(gone, 1):
        await client.call(Opcode.DESTROY_KEY, DestroyKey(key), operation_id=number)
    leases.sweep()
    assert len(leases) == 1
    assert lease_of(node, kept).left == GCM_BLOCK - 1
