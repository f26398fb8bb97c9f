"""Keys with max_uses, through several real nodes that share a store."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from counted_keys import PARTITION, FailingStore, encrypt, new_key, record_of, sign

from hsm_node.core.records import next_record, seal_record
from hsm_wire import mechanisms as ckm
from hsm_wire.frames import Frame
from hsm_wire.kinds import Flag
from hsm_wire.messages import NIL_PARAMETERS as NIL
from hsm_wire.messages import DestroyKey, Policy, RotateKey, Sign, SignResult, UpdateKey, Verify, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[..., Any]
TextOf = Callable[[Frame], str]
NODES = 3


async def at_once(clients: list[Any], key: bytes, numbers: list[int]) -> Counter[int]:
    """Ask for signatures, each with an operation id of its own, on all connections before any answer is read."""
    for number in numbers:
        body = Sign(key, ckm.CKM_ECDSA_SHA256, NIL, b"data")
        clients[number % len(clients)].request(Opcode.SIGN, body, operation_id=number, request_id=number)
    statuses: Counter[int] = Counter()
    for number in numbers:
        statuses[(await clients[number % len(clients)].frame()).status] += 1
    return statuses


async def test_nodes_that_race_for_the_last_uses_never_make_one_too_many(start_node: Start) -> None:
    nodes = [start_node() for _ in range(NODES)]
    clients = [await node.client() for node in nodes]
    key = await new_key(clients[0], "ec-p256", Policy(max_uses=25))
    statuses = await at_once(clients, key, list(range(1, 61)))
    assert statuses == {Status.OK: 25, Status.KEY_USAGE: 35}
    assert record_of(nodes[0], key).uses == 25
    assert sum(node.keystore.meter.counter.refused for node in nodes) == 35


async def test_a_use_sent_again_is_made_again_and_counted_once_whichever_node_it_reaches(start_node: Start) -> None:
    nodes = [start_node() for _ in range(2)]
    one, two = [await node.client() for node in nodes]
    key = await new_key(one, "ec-p256", Policy(max_uses=2))
    for client in (one, two, one):
        assert (await sign(client, key, b"data", 7)).status == Status.OK
    assert record_of(nodes[0], key).uses == 1
    both = await asyncio.gather(sign(one, key, b"more", 8), sign(two, key, b"more", 8))
    assert [answer.status for answer in both] == [Status.OK] * 2
    assert record_of(nodes[0], key).uses == 2
    assert (await sign(two, key, b"data", 7)).status == Status.OK, "at the limit it is still known"


async def test_one_operation_id_does_not_pass_for_two_uses(start_node: Start, text_of: TextOf) -> None:
    node = start_node()
    client = await node.client()
    key = await new_key(client, "ec-p256", Policy(max_uses=1))
    assert (await sign(client, key, b"one", 7)).status == Status.OK
    refused = await sign(client, key, b"two", 7)
    assert refused.status == Status.KEY_USAGE
    assert text_of(refused) == "the key has made the 1 uses that its policy allows: rotate it, or make a new one"
    assert not refused.flags & Flag.NOT_EXECUTED


async def test_a_use_without_an_operation_id_is_refused_and_not_counted(start_node: Start, text_of: TextOf) -> None:
    node = start_node()
    client = await node.client()
    key = await new_key(client, "ec-p256", Policy(max_uses=1))
    refused = await sign(client, key, b"one", 0)
    assert refused.status == Status.BAD_REQUEST
    assert "operation id" in text_of(refused)
    assert record_of(node, key).uses == 0
    unlimited = await new_key(client, "ec-p256")
    assert (await sign(client, unlimited, b"one", 0)).status == Status.OK


async def test_verifying_costs_nothing(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    key = await new_key(client, "ec-p256", Policy(max_uses=1))
    signature = decode_body(SignResult, (await sign(client, key, b"data", 1)).body).signature
    verify = Verify(key, ckm.CKM_ECDSA_SHA256, NIL, b"data", signature)
    for _ in range(3):
        assert (await client.call(Opcode.VERIFY, verify, operation_id=0)).status == Status.OK
    assert record_of(node, key).uses == 1


@pytest.mark.parametrize(("key_type", "data_bytes"), [("rsa-2048", 10), ("ec-p256", 200_000)])
async def test_uses_that_need_a_session_count_as_well(start_node: Start, key_type: str, data_bytes: int) -> None:
    node = start_node()
    client = await node.client()
    key = await new_key(client, key_type, Policy(max_uses=2))
    mechanism = ckm.CKM_SHA256_RSA_PKCS if key_type == "rsa-2048" else ckm.CKM_ECDSA_SHA256
    answers = [
        await client.call(Opcode.SIGN, Sign(key, mechanism, NIL, bytes(data_bytes)), operation_id=number)
        for number in (1, 2, 2, 3)
    ]
    assert [answer.status for answer in answers] == [Status.OK, Status.OK, Status.OK, Status.KEY_USAGE]


async def test_without_the_store_no_counted_use_is_made_and_nothing_else_suffers(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    key, other = await new_key(client, "ec-p256", Policy(max_uses=2)), await new_key(client, "ec-p256")
    store = FailingStore(node)
    store.failing = True
    refused = await sign(client, key, b"data", 1)
    assert (refused.status, refused.flags & Flag.NOT_EXECUTED) == (Status.STORE_UNAVAILABLE, Flag.NOT_EXECUTED)
    assert (await sign(client, other, b"data", 2)).status == Status.OK
    store.failing = False
    assert [(await sign(client, key, b"data", number)).status for number in (1, 3, 4)] == [
        Status.OK,
        Status.OK,
        Status.KEY_USAGE,
    ]


async def test_counted_uses_are_held_up_by_the_partition_s_rate_and_all_others_go_on(
    start_node: Start, text_of: TextOf
) -> None:
    node = start_node("partition_changes_per_s = 0.1\npartition_changes_burst = 3")
    client = await node.client()
    key, other = await new_key(client, "ec-p256", Policy(max_uses=9)), await new_key(client, "ec-p256")
    assert (await sign(client, key, b"data", 1)).status == Status.OK
    refused = await sign(client, key, b"data", 2)
    assert (refused.status, refused.flags & Flag.NOT_EXECUTED) == (Status.OVER_QUOTA, Flag.NOT_EXECUTED)
    assert "partition_changes_per_s" in text_of(refused)
    assert (await sign(client, key, b"data", 1)).status == Status.OK, "it was counted before"
    assert (await sign(client, other, b"data", 3)).status == Status.OK
    assert record_of(node, key).uses == 1


async def test_a_limited_key_that_encrypts_counts_each_encryption(start_node: Start) -> None:
    client = await start_node().client()
    key = await new_key(client, "aes-256", Policy(max_uses=2))
    answers = [await encrypt(client, key, operation_id=number) for number in (1, 2, 3)]
    assert [answer.status for answer in answers] == [Status.OK, Status.OK, Status.KEY_USAGE]


async def test_an_owner_stops_a_key_that_all_nodes_use_as_fast_as_they_can(start_node: Start) -> None:
    nodes = [start_node() for _ in range(NODES)]
    clients = [await node.client() for node in nodes]
    owner = await nodes[0].client()
    key = await new_key(owner, "ec-p256", Policy(max_uses=1_000_000))
    going = True
    done: Counter[int] = Counter()

    async def use(lane: int) -> None:
        number = 0
        while going:
            number += 8
            done.update(await at_once([clients[lane]], key, [lane * 10**8 + number + each for each in range(8)]))

    lanes = [asyncio.ensure_future(use(lane)) for lane in range(NODES)]
    while done[Status.OK] < 100:
        await asyncio.sleep(0.01)
    stopped = await owner.call(Opcode.UPDATE_KEY, UpdateKey(key, enabled=False), operation_id=5)
    after = [await sign(await node.client(), key, b"late", 9) for node in nodes]
    going = False
    await asyncio.gather(*lanes)
    assert stopped.status == Status.OK
    assert {answer.status for answer in after} == {Status.KEY_DISABLED}
    assert set(done) <= {Status.OK, Status.KEY_DISABLED}


async def test_a_use_that_waits_while_its_key_is_disabled_is_not_made(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    key = await new_key(client, "ec-p256", Policy(max_uses=100))
    change = node.store.change

    def owner_is_faster(name: bytes, revision: int, data: bytes) -> Any:
        """Disable the key just before the first use of it is counted."""
        node.store.change = change
        disabled = next_record(node.keystore.table.get(PARTITION, key).record, enabled=False)
        assert change(name, revision, seal_record(disabled, node.keystore.keyring)) is not None
        return change(name, revision, data)

    node.store.change = owner_is_faster
    assert (await sign(client, key, b"data", 1)).status == Status.KEY_DISABLED
    assert record_of(node, key).uses == 0


async def test_a_rotated_key_counts_anew_and_its_predecessor_goes_on_counting(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    old, new = await new_key(client, "ec-p256", Policy(max_uses=1)), os.urandom(16)
    assert (await sign(client, old, b"one", 1)).status == Status.OK
    assert (await client.call(Opcode.ROTATE_KEY, RotateKey(old, new), operation_id=2)).status == Status.OK
    answers = [await sign(client, new, b"one", number) for number in (3, 4)]
    assert [answer.status for answer in answers] == [Status.OK, Status.KEY_USAGE]
    assert (record_of(node, old).uses, record_of(node, new).uses) == (1, 1)


async def test_a_destroyed_key_is_not_found_by_its_uses(start_node: Start) -> None:
    client = await start_node().client()
    key = await new_key(client, "ec-p256", Policy(max_uses=5))
    await sign(client, key, b"one", 1)
    await client.call(Opcode.DESTROY_KEY, DestroyKey(key), operation_id=2)
    assert (await sign(client, key, b"one", 1)).status == Status.KEY_NOT_FOUND
