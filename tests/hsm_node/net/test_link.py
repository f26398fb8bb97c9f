import asyncio
import gc
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hsm_node.net.link import Link
from hsm_node.service.request import Request
from hsm_node.store.base import StoreError
from hsm_node.work.pool import Job
from hsm_wire import kinds
from hsm_wire.frames import encode_frame
from hsm_wire.kinds import Flag
from hsm_wire.mechanisms import CKM_ECDSA_SHA256, CKM_SHA256_RSA_PKCS
from hsm_wire.messages import (
    NIL_PARAMETERS,
    DescribeKey,
    Empty,
    GenerateKey,
    Hello,
    Pong,
    Random,
    Sign,
    Verify,
    decode_body,
    encode_body,
)
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]


async def test_pings_are_answered_with_the_nodes_report(start_node: Start) -> None:
    client = await start_node().client()
    client.send(kinds.PING, request_id=9)
    frame = await client.frame()
    pong = decode_body(Pong, frame.body)
    assert (frame.kind, frame.request_id, pong.state, len(pong.boot_id)) == (kinds.PONG, 9, "up", 16)


async def test_an_unbound_principal_is_denied_and_the_connection_lives(start_node: Start) -> None:
    client = await start_node().client()
    assert (await client.call(Opcode.INFO, Empty(), principal=8)).status == Status.DENIED
    client.send(kinds.UNBIND, b"\x91\x07")
    assert (await client.call(Opcode.INFO, Empty())).status == Status.DENIED
    client.bind()
    assert (await client.call(Opcode.INFO, Empty())).status == Status.OK


async def test_a_request_before_hello_ends_the_connection_with_its_fault(start_node: Start) -> None:
    client = await start_node().client(greet=False)
    assert (await client.call(Opcode.INFO, Empty())).status == Status.BAD_REQUEST
    assert await client.ended()


async def test_a_second_hello_ends_the_connection(start_node: Start) -> None:
    client = await start_node().client()
    client.greet()
    assert (await client.frame()).status == Status.BAD_REQUEST
    assert await client.ended()


@pytest.mark.parametrize("body", [b"", b"\x91", b"\x92\x01\x02", b"\xc1" * 9])
async def test_a_malformed_body_is_refused_and_the_connection_lives(start_node: Start, body: bytes) -> None:
    client = await start_node().client()
    client.send(kinds.REQUEST, body, request_id=50, principal=7, opcode=Opcode.RANDOM)
    assert (await client.frame()).status == Status.BAD_REQUEST
    client.send(kinds.BIND, body)
    assert (await client.frame()).status == Status.BAD_REQUEST
    assert (await client.call(Opcode.RANDOM, Random(5))).status == Status.OK


async def test_unknown_operations_are_refused(start_node: Start) -> None:
    client = await start_node().client()
    for opcode in (0, Opcode.STATUS, Opcode.EVENTS, Opcode.READ_AUDIT, 0xFFFF):
        assert (await client.call(opcode, Empty())).status == Status.UNKNOWN_OPERATION


async def test_more_in_flight_than_agreed_is_overloaded_not_executed(start_node: Start) -> None:
    client = await start_node().client()
    for _ in range(110):
        client.request(Opcode.GENERATE_KEY, GenerateKey(os.urandom(16), "aes-128"))
    frames = [await client.frame() for _ in range(110)]
    refused = [frame for frame in frames if frame.status == Status.OVERLOADED]
    assert all(frame.flags == 1 for frame in refused)
    assert {frame.status for frame in frames} <= {Status.OK, Status.OVERLOADED}


async def test_goaway_refuses_what_is_new_and_then_ends(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    node.lifecycle.stopping.set()
    assert (await client.frame()).kind == kinds.GOAWAY
    assert await client.ended()


async def test_a_cut_frame_does_not_end_the_link(start_node: Start) -> None:
    client = await start_node().client()
    raw = encode_frame(
        kinds.REQUEST, encode_body(Random(5)), request_id=1, principal=7, opcode=Opcode.RANDOM, operation_id=5
    )
    client.writer.write(raw[:20])
    await client.writer.drain()
    await asyncio.sleep(0.05)  # two reads of the node
    client.writer.write(raw[20:])
    assert (await client.frame()).status == Status.OK


async def test_every_answer_of_a_stale_node_says_so(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    node.store.close()
    for opcode, body, fields in (
        (Opcode.RANDOM, Random(5), {}),  # a result
        (Opcode.DESCRIBE_KEY, DescribeKey(os.urandom(16)), {}),  # a refusal of the service
        (Opcode.RANDOM, Random(5), {"principal": 8}),  # a refusal of the link
    ):
        frame = await client.call(opcode, body, **fields)
        assert frame.flags & Flag.STALE, frame
    assert node.node._acceptor.stale_answers == 3


async def test_a_refused_bind_takes_no_request_out_of_flight(start_node: Start) -> None:
    client = await start_node().client()
    generated = client.request(Opcode.GENERATE_KEY, GenerateKey(os.urandom(16), "ec-p256"))
    client.send(kinds.BIND, b"\x91", request_id=generated)
    client.request(Opcode.RANDOM, Random(5), request_id=generated)
    statuses = {(await client.frame()).status for _ in range(2)}
    assert statuses == {Status.BAD_REQUEST, Status.DUPLICATE_ID}
    assert await client.ended()


async def test_a_request_in_one_read_with_hello_is_answered_as_the_fault_it_is(start_node: Start) -> None:
    client = await start_node().client(greet=False)
    hello = encode_frame(kinds.HELLO, encode_body(Hello(1, 1, 1 << 20, 8, "hasty")))
    client.writer.write(hello + encode_frame(kinds.REQUEST, b"\x90", request_id=1, opcode=Opcode.INFO))
    assert (await client.frame()).status == Status.BAD_REQUEST
    assert await client.ended()


async def completed(client: Any) -> int:
    """Return what PONG says of the work done."""
    client.send(kinds.PING)
    return int(decode_body(Pong, (await client.frame()).body).completed)


async def test_work_that_was_done_counts_as_completed_whatever_came_of_it(start_node: Start) -> None:
    client = await start_node().client()
    key = os.urandom(16)
    assert await completed(client) == 0
    assert (await client.call(Opcode.RANDOM, Random(5))).status == Status.OK
    assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "ec-p256"))).status == Status.OK
    assert (await client.call(Opcode.SIGN, Sign(key, CKM_ECDSA_SHA256, NIL_PARAMETERS, b"x"))).status == Status.OK
    assert await completed(client) == 3
    wrong = Verify(key, CKM_ECDSA_SHA256, NIL_PARAMETERS, b"x", bytes(64))
    assert (await client.call(Opcode.VERIFY, wrong)).status == Status.BAD_SIGNATURE
    assert await completed(client) == 4


async def test_refusals_do_not_count_as_completed(start_node: Start) -> None:
    client = await start_node().client()
    client.bind(8, roles=())
    key = os.urandom(16)
    sign = Sign(key, CKM_ECDSA_SHA256, NIL_PARAMETERS, b"x")
    refused = [
        (Opcode.SIGN, sign, {"principal": 8}, Status.DENIED),
        (Opcode.SIGN, sign, {"principal": 9}, Status.DENIED),
        (Opcode.SIGN, sign, {}, Status.KEY_NOT_FOUND),
        (Opcode.SIGN, Empty(), {}, Status.BAD_REQUEST),
        (Opcode.STATUS, Empty(), {}, Status.UNKNOWN_OPERATION),
        (Opcode.GENERATE_KEY, GenerateKey(key, "nonsense"), {}, Status.BAD_REQUEST),
    ]
    for opcode, body, fields, status in refused:
        assert (await client.call(opcode, body, **fields)).status == status
    assert await completed(client) == 0


async def test_what_fails_inside_the_node_does_not_count_as_completed(
    start_node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node()
    client = await node.client()

    def fail(_request: object, _body: object) -> bytes:
        raise RuntimeError

    row = node.keystore.service._rows[int(Opcode.RANDOM)]
    broken = msgspec.structs.replace(row, handler=fail)
    monkeypatch.setitem(node.keystore.service._rows, int(Opcode.RANDOM), broken)
    assert (await client.call(Opcode.RANDOM, Random(5))).status == Status.DEVICE_ERROR
    assert await completed(client) == 0


async def test_a_connection_that_was_lost_holds_no_transport_so_its_tls_buffers_go_without_the_collector(
    start_node: Start,
) -> None:
    node = start_node()
    client = await node.client()
    [link] = node.node._acceptor.links
    output = link._output
    assert output is not None
    client.writer.close()
    while node.node._acceptor.links:
        await asyncio.sleep(0.005)
    assert (link._transport, link._output) == (None, None)
    link._send(b"late")  # To nobody, and no fault.


def held() -> list[object]:
    """Return what connections hold, of every node of this process."""
    return [found for found in gc.get_objects() if isinstance(found, Link | Request | Job)]


async def test_what_a_connection_held_does_not_wait_for_the_garbage_collector(start_node: Start) -> None:
    node = start_node()
    other = await node.client()
    key = os.urandom(16)
    await other.call(Opcode.GENERATE_KEY, GenerateKey(key, "rsa-2048"))
    gc.collect()
    before = held()  # Other tests of this process may have left something.
    client = await node.client()
    gc.disable()
    try:
        signed = await client.call(Opcode.SIGN, Sign(key, CKM_SHA256_RSA_PKCS, NIL_PARAMETERS, b"data"))
        client.request(Opcode.SIGN, Sign(key, CKM_SHA256_RSA_PKCS, NIL_PARAMETERS, b"nobody waits for it"))
        client.writer.close()
        async with asyncio.timeout(10):
            while len(held()) > len(before):
                await asyncio.sleep(0.02)
    finally:
        gc.enable()
    assert signed.status == Status.OK


async def test_an_answer_is_marked_if_the_node_was_stale_when_it_looked_the_key_up_whatever_it_is_when_it_answers(
    start_node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node()
    client = await node.client()
    key = os.urandom(16)
    await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "ec-p256"))
    store, changed, answer = node.store, node.store.changed, Link.answer

    def away() -> bool:
        raise StoreError("away")

    def answered(link: Link, *args: Any) -> None:
        monkeypatch.setattr(store, "changed", changed)
        node.keystore.follower.follow()  # Before the answer is sent the node is current again.
        assert node.keystore.follower.current
        answer(link, *args)

    monkeypatch.setattr(type(store), "serves_stale", True)
    monkeypatch.setattr(store, "changed", away)
    monkeypatch.setattr(Link, "answer", answered)
    for flags in (Flag.STALE, 0):
        signed = await client.call(Opcode.SIGN, Sign(key, CKM_ECDSA_SHA256, NIL_PARAMETERS, b"data"))
        assert (signed.status, signed.flags) == (Status.OK, flags)
