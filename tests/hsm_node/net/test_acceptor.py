"""Who may connect, how many, and what happens to all of them when the loop stood still."""

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from hsm_daemon import clock
from hsm_node.store.base import StoreError
from hsm_wire import kinds
from hsm_wire.messages import GenerateKey, Goaway, Pong, Random, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[..., Any]


async def test_a_connection_beyond_the_limit_is_closed_and_the_others_live(
    start_node: Start,
) -> None:
    node = start_node("links = 1")
    first = await node.client()
    extra = socket.create_connection(node.address, 5)
    extra.setblocking(False)
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(loop.sock_recv(extra, 1), 5) == b""
    extra.close()
    assert (await first.call(Opcode.RANDOM, Random(5))).status == Status.OK


async def test_connections_that_come_and_go_leave_room(start_node: Start) -> None:
    node = start_node("links = 3")
    for _ in range(10):
        client = await node.client()
        client.writer.close()
        while node.node._acceptor.links:
            await asyncio.sleep(0.005)


async def test_several_connections_of_one_proxy_are_one_proxy(start_node: Start) -> None:
    node = start_node()
    first, second = await node.client(), await node.client()
    windows = []
    for client in (first, second):
        client.send(kinds.PING)
        windows.append(decode_body(Pong, (await client.frame()).body).window)
    assert windows == [256, 256]
    assert node.node._acceptor.proxies == 1


async def test_after_a_stall_nothing_that_was_sent_meanwhile_is_served(
    start_node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node()
    client = await node.client()
    assert (await client.call(Opcode.RANDOM, Random(5))).status == Status.OK
    real = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: real() + 0.7)
    client.send(kinds.REQUEST, b"\x91\x05", request_id=77, principal=7, opcode=Opcode.RANDOM)
    goaway = await client.frame()
    assert (goaway.kind, decode_body(Goaway, goaway.body).reason) == (kinds.GOAWAY, "the node stood still")
    assert await client.ended()
    assert node.node._acceptor.stalls == 1
    again = await node.client()
    assert (await again.call(Opcode.RANDOM, Random(5))).status == Status.OK
    again.send(kinds.PING)
    assert decode_body(Pong, (await again.frame()).body).state == "up"


async def test_a_node_that_waits_for_its_own_end_says_goaway_once(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    node.lifecycle.stopping.set()
    assert (await client.frame()).kind == kinds.GOAWAY
    client.send(kinds.GOAWAY)
    assert await client.ended()


async def test_a_node_that_stops_answers_what_it_has_before_it_ends(
    start_node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node()
    client = await node.client()
    backend = node.keystore.service._rows[int(Opcode.GENERATE_KEY)].handler.__self__._backend
    generate = backend.generate

    def slowly(key_type: object) -> object:
        time.sleep(0.3)  # In a thread of the pool.
        return generate(key_type)

    monkeypatch.setattr(backend, "generate", slowly)
    client.request(Opcode.GENERATE_KEY, GenerateKey(os.urandom(16), "aes-256"))
    await asyncio.sleep(0.05)
    node.lifecycle.stopping.set()
    assert (await client.frame()).kind == kinds.GOAWAY
    answer = await client.frame()
    assert (answer.kind, answer.status) == (kinds.RESPONSE, Status.OK)
    assert await client.ended()


async def test_after_a_stall_nothing_unread_is_served_on_any_link_and_the_node_is_current_again(
    start_node: Start,
) -> None:
    node = start_node()
    clients = [await node.client() for _ in range(2)]
    for client in clients:
        await client.call(Opcode.RANDOM, Random(5))
    for client in clients:
        client.request(Opcode.RANDOM, Random(5))
        await client.writer.drain()
    time.sleep(0.7)  # noqa: ASYNC251 - the loop is to stand still
    for client in clients:
        assert (await client.frame()).kind == kinds.GOAWAY
        assert await client.ended()
    assert node.node.facts.requests.completed == 2
    assert node.node._acceptor.stalls == 1
    assert node.node._acceptor.last_stall_s >= 0.7
    assert node.keystore.follower.current
    assert node.node._is_ready()


async def test_a_store_that_answers_again_is_noticed_without_any_request(
    start_node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node()
    await node.client()

    def fail() -> bool:
        raise StoreError("away")

    with monkeypatch.context() as patched:
        patched.setattr(node.store, "changed", fail)
        assert not node.node._is_ready()
    while not node.keystore.follower.current:
        await asyncio.sleep(0.01)


async def test_how_long_the_loop_may_stand_still_is_the_configurations(
    start_node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node("stall_s = 5.0")
    client = await node.client()
    real = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: real() + 0.7)
    assert (await client.call(Opcode.RANDOM, Random(5))).status == Status.OK
    monkeypatch.setattr(clock, "monotonic", lambda: real() + 6.7)
    client.request(Opcode.RANDOM, Random(5))
    assert (await client.frame()).kind == kinds.GOAWAY
    assert await client.ended()
    assert node.node._acceptor.stalls == 1


async def test_a_stranger_without_hello_is_dropped_when_the_configured_time_is_over(start_node: Start) -> None:
    node = start_node("hello_s = 0.1")
    stranger = await node.client(greet=False)
    begun = clock.monotonic()
    assert await stranger.ended()
    assert 0.05 < clock.monotonic() - begun < 4.0


async def test_what_is_in_flight_when_the_node_stops_has_the_configured_time(
    start_node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node("shutdown_s = 0.1")
    client = await node.client()
    go_on = threading.Event()
    backend = node.keystore.service._rows[int(Opcode.GENERATE_KEY)].handler.__self__._backend
    monkeypatch.setattr(backend, "generate", lambda _key_type: go_on.wait(10))
    client.request(Opcode.GENERATE_KEY, GenerateKey(os.urandom(16), "aes-256"))
    while not node.keystore.generation.running:
        await asyncio.sleep(0.005)
    node.lifecycle.stopping.set()
    assert (await client.frame()).kind == kinds.GOAWAY
    try:
        with pytest.raises((EOFError, ConnectionError)):
            await client.frame()
    finally:
        go_on.set()


async def test_the_window_is_the_configurations(start_node: Start) -> None:
    client = await start_node("window_requests = 40").client()
    client.send(kinds.PING)
    assert decode_body(Pong, (await client.frame()).body).window == 40
