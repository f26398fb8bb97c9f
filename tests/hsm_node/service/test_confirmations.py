"""What waits for other nodes or for the DR site, as clients and the page of metrics see it."""

import ast
import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from hsm_daemon import clock
from hsm_node.core.refusal import Refusal
from hsm_node.service.confirmations import MAX_WAITING
from hsm_node.store.base import StoreError
from hsm_wire.kinds import DURABLE_DR, Flag
from hsm_wire.mechanisms import CKM_ML_KEM
from hsm_wire.messages import (
    NIL_PARAMETERS,
    Encapsulate,
    EncapsulateResult,
    GenerateKey,
    ImportKey,
    KeyInfo,
    Unconfirmed,
    decode_body,
)
from hsm_wire.objects import CreateObject, ObjectInfo, ReadObject, UpdateObject
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]
DURABLE_QUORUM = int(Flag.DURABLE_QUORUM)
ROOT = Path(__file__).parent.parent.parent.parent


async def test_changes_are_counted_by_how_they_ended_and_no_more_are_made_than_may_wait(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    one = os.urandom(16)
    await client.call(Opcode.CREATE_OBJECT, CreateObject(one, "data", b"v"))
    counts = node.keystore.confirmations
    await client.call(Opcode.UPDATE_OBJECT, UpdateObject(one, label="1"), operation_id=1)
    names: Future[list[str]] = Future()
    names.set_result(["node-2"])
    node.keystore.store.unconfirmed = lambda _revision: names
    await client.call(Opcode.UPDATE_OBJECT, UpdateObject(one, label="2"), operation_id=2)
    assert (counts.confirmed, counts.unconfirmed, counts.waiting) == (1, 1, 0)
    counts.waiting = MAX_WAITING
    answer = await client.call(Opcode.UPDATE_OBJECT, UpdateObject(one, label="3"), operation_id=3)
    assert (answer.status, answer.flags & 1) == (Status.OVERLOADED, 1)


class Site:
    """Stands for the store's member at the DR site: `has` it, has not, or is silent (None)."""

    def __init__(self, node: Any, has: bool | None) -> None:
        self.has = has
        self.asked: list[int] = []
        self.waiting: list[Future[bool]] = []
        node.keystore.confirmations.recovery_site = "alps"
        node.keystore.store.copied = self.copied

    def copied(self, revision: int) -> Future[bool]:
        self.asked.append(revision)
        future: Future[bool] = Future()
        self.waiting.append(future)
        if self.has is not None:
            future.set_result(self.has)
        return future


KEY = os.urandom(16)
MAKING = [
    (Opcode.GENERATE_KEY, GenerateKey(KEY, "aes-256")),
    (Opcode.IMPORT_KEY, ImportKey(KEY, "aes-256", bytes(32))),
    (Opcode.CREATE_OBJECT, CreateObject(KEY, "data", b"v")),
]


@pytest.mark.parametrize(("opcode", "body"), MAKING)
@pytest.mark.parametrize("has", [True, False])
async def test_what_is_made_with_durability_dr_waits_and_so_does_the_same_request_again(
    start_node: Start, opcode: Opcode, body: Any, has: bool
) -> None:
    node = start_node()
    client, site = await node.client(), Site(node, has)
    first, again = [await client.call(opcode, body, flags=DURABLE_DR) for _ in range(2)]
    assert (first.status, first.body) == (again.status, again.body)
    assert site.asked == [site.asked[0]] * 2
    result = first.body
    if not has:
        assert first.status == Status.OK_DR_PENDING
        pending = decode_body(Unconfirmed, first.body)
        assert pending.unconfirmed == ["alps"]
        result = bytes(pending.result)
    form = ObjectInfo if opcode is Opcode.CREATE_OBJECT else KeyInfo
    assert KEY in msgspec.structs.astuple(decode_body(form, result))
    counts = node.keystore.confirmations
    assert (counts.copied, counts.pending) == ((2, 0) if has else (0, 2))


async def test_a_ciphertext_is_not_lost_when_the_dr_site_is_behind(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    await client.call(Opcode.GENERATE_KEY, GenerateKey(KEY, "ml-kem-768"))
    Site(node, False)
    body = Encapsulate(KEY, CKM_ML_KEM, NIL_PARAMETERS, os.urandom(16), "secret-256")
    answer = await client.call(Opcode.ENCAPSULATE, body, flags=DURABLE_DR)
    assert answer.status == Status.OK_DR_PENDING
    assert decode_body(EncapsulateResult, decode_body(Unconfirmed, answer.body).result).ciphertext


async def test_the_cluster_s_rule_holds_where_a_request_does_not_say(start_node: Start) -> None:
    node = start_node()
    client, site = await node.client(), Site(node, False)

    async def statuses() -> list[str]:
        asked = ((number, flags) for number, flags in enumerate((0, DURABLE_QUORUM, DURABLE_DR)))
        return [
            Status((await client.call(Opcode.CREATE_OBJECT, made(), operation_id=1 + number, flags=flags)).status).name
            for number, flags in asked
        ]

    def made() -> CreateObject:
        return CreateObject(os.urandom(16), "data", b"v")

    assert await statuses() == ["OK", "OK", "OK_DR_PENDING"]
    node.keystore.durable_dr = True
    assert await statuses() == ["OK_DR_PENDING", "OK", "OK_DR_PENDING"]
    assert len(site.asked) == 3


async def test_a_change_waits_for_nodes_and_dr_site_at_once_and_names_both(start_node: Start) -> None:
    node = start_node()
    client, site = await node.client(), Site(node, None)
    names: Future[list[str]] = Future()
    node.keystore.store.unconfirmed = lambda _revision: names
    await client.call(Opcode.CREATE_OBJECT, CreateObject(KEY, "data", b"v"))
    client.request(Opcode.UPDATE_OBJECT, UpdateObject(KEY, label="x"), operation_id=1, flags=DURABLE_DR)
    while not site.asked:
        await asyncio.sleep(0.001)
    assert site.asked == [node.store.read(node.keystore.keyring.object_name(1, KEY)).revision]
    names.set_result(["node-2"])
    site.waiting[0].set_result(False)
    answer = await client.frame()
    said = decode_body(Unconfirmed, answer.body)
    assert (answer.status, said.unconfirmed) == (Status.OK_UNCONFIRMED, ["node-2", "alps"])
    assert decode_body(ObjectInfo, said.result).label == "x"


async def test_a_result_that_is_no_more_is_left_out(start_node: Start) -> None:
    node = start_node()
    await node.client()
    Site(node, False)

    def gone() -> bytes:
        raise Refusal(Status.KEY_NOT_FOUND, "destroyed since")

    request = SimpleNamespace(flags=DURABLE_DR, deadline=clock.monotonic() + 10)
    status, body = await node.keystore.confirmations.answer_new(request, 1, gone)
    assert (status, decode_body(Unconfirmed, body)) == (Status.OK_DR_PENDING, Unconfirmed(["alps"]))


async def test_what_is_done_and_not_seen_at_the_dr_site_in_time_is_not_called_undone(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    Site(node, None)
    body = CreateObject(KEY, "data", b"v")
    answer = await client.call(Opcode.CREATE_OBJECT, body, flags=DURABLE_DR, timeout_ms=200)
    assert (answer.status, answer.flags) == (Status.TIMEOUT, 0)
    assert (await client.call(Opcode.READ_OBJECT, ReadObject(KEY))).status == Status.OK

    def closed(_revision: int) -> Future[bool]:
        raise StoreError("closed")

    node.keystore.store.copied = closed
    answer = await client.call(Opcode.CREATE_OBJECT, body, flags=DURABLE_DR)
    assert (answer.status, answer.flags) == (Status.STORE_UNAVAILABLE, 0)
    assert node.keystore.confirmations.waiting == 0


async def test_durability_dr_is_refused_where_no_member_is_at_a_dr_site(
    start_node: Start, text_of: Callable[..., str]
) -> None:
    node = start_node()
    client = await node.client()
    body = CreateObject(KEY, "data", b"v")
    answer = await client.call(Opcode.CREATE_OBJECT, body, flags=DURABLE_DR)
    assert (answer.status, answer.flags & 1) == (Status.BAD_REQUEST, 1)
    assert "durability dr cannot be had" in text_of(answer)
    assert (await client.call(Opcode.READ_OBJECT, ReadObject(KEY), flags=DURABLE_DR)).status == Status.KEY_NOT_FOUND
    assert (await client.call(Opcode.CREATE_OBJECT, body, flags=DURABLE_QUORUM)).status == Status.OK


async def test_nothing_is_made_where_too_much_waits_for_the_dr_site(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    Site(node, True)
    node.keystore.confirmations.waiting = MAX_WAITING
    body = CreateObject(KEY, "data", b"v")
    answer = await client.call(Opcode.CREATE_OBJECT, body, flags=DURABLE_DR)
    assert (answer.status, answer.flags & 1) == (Status.OVERLOADED, 1)
    assert (await client.call(Opcode.CREATE_OBJECT, body)).status == Status.OK


def test_every_change_waits_but_those_that_change_nothing_that_is_answered() -> None:
    """Who calls `change` of the store without having the other nodes confirm it, and why that is right."""
    reasons = {
        "key_rewriter.py": "a use is counted at the record's newest revision: an old state counts none",
        "rewrapping.py": "the same record under another master key: it allows what it allowed",
        "own_row.py": "what a node says of itself: the master keys that it holds, and what it can do",
    }
    silent = set()
    for file in (ROOT / "hsm_node").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            is_call = isinstance(node, ast.Call) and any(
                isinstance(part, ast.Attribute) and part.attr == "change" and "store" in ast.unparse(part.value)
                for part in (node.func, *node.args)
            )
            if is_call and not any(keyword.arg == "waits" for keyword in node.keywords):
                silent.add(file.name)
    assert silent == set(reasons)
