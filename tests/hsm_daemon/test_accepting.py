"""Accepting on real sockets: pace, limits, certificates, and what goes wrong."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from hsm_daemon import accepting
from hsm_daemon.accepting import ACCEPTS_PER_TURN, TOO_MANY, Acceptor, Neighbours
from hsm_daemon.listening import address_of, bind
from hsm_daemon.pace import Pace
from hsm_daemon.tls import client_context, peer_identity, server_context

NODE, CLIENT = "spiffe://test/node/n", "spiffe://test/client/c"
FAST = Pace(10_000.0, 1000, 1000)


class Greeter(asyncio.Protocol):
    """Says hello to whoever comes."""

    def __init__(self, stage: "Stage") -> None:
        self.stage = stage

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.stage.made.append(self)
        self.transport.write(b"hello")

    def connection_lost(self, exc: Exception | None) -> None:
        self.stage.lost += 1


def waits(acceptor: Acceptor) -> bool:
    """Say whether new connections wait in the kernel's backlog."""
    return not acceptor._reading


class Stage:
    """An acceptor, and what it did."""

    def __init__(self) -> None:
        self.made: list[Greeter] = []
        self.lost = 0
        self.refused: list[str] = []
        self.listener = bind("127.0.0.1", 0, 512)
        self.clients: list[socket.socket | asyncio.StreamWriter] = []
        self.acceptor: Acceptor | None = None

    def accept(
        self,
        pace: Pace = FAST,
        context: ssl.SSLContext | None = None,
        room: Callable[[], bool] | None = None,
        handshake_s: float = 5.0,
        neighbours: Neighbours | None = None,
    ) -> Acceptor:
        self.acceptor = Acceptor(
            lambda: Greeter(self),
            pace,
            context=context,
            handshake_s=handshake_s,
            closing_s=1.0,
            room=room,
            refused=self.refused.append,
            neighbours=neighbours,
        )
        self.acceptor.start(self.listener)
        return self.acceptor

    def dial(self) -> socket.socket:
        """Connect without a word."""
        client = socket.create_connection(address_of(self.listener), 5)
        client.setblocking(False)
        self.clients.append(client)
        return client

    def begin(self) -> socket.socket:
        """Connect and begin a TLS handshake without going on."""
        client = self.dial()
        client.send(b"\x16")
        return client

    async def talk(self, context: ssl.SSLContext | None = None) -> asyncio.StreamWriter:
        """Connect and be greeted."""
        host, port = address_of(self.listener)
        name = "" if context else None
        reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
        self.clients.append(writer)
        assert await asyncio.wait_for(reader.readexactly(5), 5) == b"hello"
        return writer

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.002)

    async def close(self) -> None:
        if self.acceptor is not None:
            self.acceptor.stop(close=True)
            self.acceptor.abort()
            await self.acceptor.settled()
        self.listener.close()
        for client in self.clients:
            client.close()
        for greeter in self.made:
            greeter.transport.abort()
        await self.until(lambda: self.lost == len(self.made))


def open_sockets() -> int:
    """Count this process's sockets; the loop itself opens other things when it first needs them."""
    count = 0
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(f"/proc/self/fd/{number}").startswith("socket:")
    return count


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    before = open_sockets()
    yield made
    await made.close()
    await made.until(lambda: open_sockets() == before - 1)  # the listener's is gone, and no other is left


async def test_connections_get_their_protocol_and_nodelay(stage: Stage) -> None:
    stage.accept()
    await asyncio.gather(*(stage.talk() for _ in range(3 * ACCEPTS_PER_TURN)))
    assert len(stage.made) == 3 * ACCEPTS_PER_TURN
    await asyncio.sleep(0)
    assert stage.acceptor is not None
    assert stage.acceptor.handshaking == 0
    connection = stage.made[0].transport.get_extra_info("socket")
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no TCP_USER_TIMEOUT")
async def test_the_kernel_watches_whether_peers_are_still_there(stage: Stage) -> None:
    stage.accept()
    await stage.talk()
    await stage.until(lambda: len(stage.made) == 1)
    taken = stage.made[0].transport.get_extra_info("socket")
    assert taken.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == accepting.KEEPALIVE_IDLE_S
    assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == accepting.UNACKNOWLEDGED_MS


async def test_those_above_the_pace_wait_in_the_backlog_and_are_served_by_one_timer(stage: Stage) -> None:
    acceptor = stage.accept(Pace(50.0, 5, 100))
    started = time.monotonic()
    for _ in range(25):
        stage.dial()
    await stage.until(lambda: waits(acceptor) and len(stage.made) >= 5)  # between two turns of the timer it does not
    assert len(stage.made) < 25
    await stage.until(lambda: len(stage.made) == 25)
    assert time.monotonic() - started >= 0.39  # 20 of them at 50 a second


async def test_half_handshakes_are_at_most_so_many_and_end_in_time(
    stage: Stage, authority: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    ours = authority("a")
    server, client = ours.issue("n", [NODE]), ours.issue("c", [CLIENT])
    acceptor = stage.accept(Pace(10_000.0, 1000, 3), server_context(server), handshake_s=0.2)
    for _ in range(6):
        stage.begin()
    await stage.until(lambda: acceptor.handshaking == 3)
    assert waits(acceptor)
    await stage.talk(client_context(client))  # it comes when the others have had their time
    await stage.until(lambda: acceptor.handshakes_failed == 6)
    assert len(stage.made) == 1
    lines = [record.fields for record in caplog.records if record.name == "daemon.tls"]  # type: ignore[attr-defined]  # logs.event sets it
    assert {line["reason"] for line in lines} == {"not done within 0.2 s"}
    assert all(line["peer"].startswith("127.0.0.1:") for line in lines)
    assert "Traceback" not in caplog.text


async def test_half_handshakes_make_room_for_others_long_before_their_time(
    stage: Stage, authority: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "HURRY_S", 0.05)
    ours = authority("a")
    server, client = ours.issue("n", [NODE]), ours.issue("c", [CLIENT])
    acceptor = stage.accept(Pace(10_000.0, 1000, 3), server_context(server), handshake_s=30.0)
    for _ in range(9):
        stage.begin()
    await stage.until(lambda: waits(acceptor))
    await stage.talk(client_context(client))
    # Not all nine: one that the loop took before its first byte had come, and that spoke at a bad time, is just closed.
    assert acceptor.handshakes_failed >= 3


async def test_what_the_kernel_hands_over_silent_costs_no_handshake_and_is_served_when_it_speaks(
    stage: Stage, authority: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting.Acceptor, "_defer", lambda self, sock: None)
    ours = authority("a")
    acceptor = stage.accept(Pace(10_000.0, 1000, 3), server_context(ours.issue("n", [NODE])))
    for _ in range(20):
        stage.dial()
    late = stage.dial()
    await stage.until(lambda: len(acceptor._silent) == 21)
    assert acceptor.handshaking == 0
    await stage.talk(client_context(ours.issue("c", [CLIENT])))
    late.send(b"\x16")
    await stage.until(lambda: acceptor.handshaking == 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no TCP_INFO")
@pytest.mark.parametrize("reset", [False, True])
async def test_who_gave_up_in_the_backlog_leaves_the_pace_to_those_who_wait(
    stage: Stage, authority: Callable[[str], Any], *, reset: bool
) -> None:
    ours = authority("a")
    for _ in range(100):
        gone = stage.begin()
        if reset:
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()
    acceptor = stage.accept(Pace(10.0, 1, 100), server_context(ours.issue("n", [NODE])))
    started = time.monotonic()
    await stage.talk(client_context(ours.issue("c", [CLIENT])))
    assert time.monotonic() - started < 5.0  # at ten a second those who had gone would take 10 s
    assert acceptor.handshakes_failed == 100


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no TCP_DEFER_ACCEPT")
async def test_peers_that_say_nothing_hold_no_handshake_and_nobody_up(
    stage: Stage, authority: Callable[[str], Any]
) -> None:
    ours = authority("a")
    context = server_context(ours.issue("n", [NODE]))
    acceptor = stage.accept(Pace(10_000.0, 1000, 3), context)
    for _ in range(20):
        stage.dial()
    started = time.monotonic()
    await stage.talk(client_context(ours.issue("c", [CLIENT])))
    assert time.monotonic() - started < 3
    assert acceptor.handshaking == 0


async def test_a_refused_certificate_is_one_line_that_names_the_peer(
    stage: Stage, authority: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    ours, foreign = authority("a"), authority("b")
    files, server = foreign.issue("c", [CLIENT]), ours.issue("n", [NODE])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(server.ca)
    context.load_cert_chain(files.certificate, files.key)
    acceptor = stage.accept(context=server_context(server))
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await stage.talk(context)
    await stage.until(lambda: acceptor.handshakes_failed == 1)
    assert not stage.made
    (line,) = [record.fields for record in caplog.records]  # type: ignore[attr-defined]  # logs.event sets it
    assert line["peer"].startswith("127.0.0.1:")
    assert "certificate" in line["reason"]


async def test_a_flood_of_failing_handshakes_is_ten_lines_a_second_and_no_traceback(
    stage: Stage, authority: Callable[[str], Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    acceptor = stage.accept(context=server_context(authority("a").issue("n", [NODE])))
    started = time.monotonic()
    for number in range(60):
        client = stage.dial()
        if number % 3 == 0:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()  # a reset
        elif number % 3 == 1:
            client.shutdown(socket.SHUT_WR)
        else:
            client.send(b"GET / HTTP/1.1\r\n\r\n")
    await stage.until(lambda: not acceptor.handshaking and acceptor.handshakes_failed >= 20)
    await acceptor.settled()
    lines = [record for record in caplog.records if record.name == "daemon.tls"]
    assert 10 <= len(lines) <= 10 + 10 * (time.monotonic() - started) + 1
    assert all(record.exc_info is None for record in caplog.records)
    assert not stage.made


async def test_new_connections_use_the_context_that_replaced_the_old_one(
    stage: Stage, authority: Callable[[str], Any]
) -> None:
    ours = authority("a")
    client = client_context(ours.issue("c", [CLIENT]))
    acceptor = stage.accept(context=server_context(ours.issue("old", ["spiffe://test/node/old"])))
    old = await stage.talk(client)
    acceptor.context = server_context(ours.issue("new", ["spiffe://test/node/new"]))
    new = await stage.talk(client)
    seen = [peer_identity(writer.transport) for writer in (old, new)]
    assert [who and who.identity for who in seen] == ["spiffe://test/node/old", "spiffe://test/node/new"]
    stage.made[0].transport.write(b"still here")  # nobody was cut off
    assert stage.lost == 0


async def test_without_room_a_connection_is_closed_at_once_and_told(stage: Stage) -> None:
    stage.accept(Pace(1.0, 3, 100), room=lambda: len(stage.made) < 2)
    await stage.talk()
    await stage.talk()
    for _ in range(40):  # they cost no token, so they do not wait for the pace
        client = stage.dial()
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
    assert stage.refused == [TOO_MANY] * 40
    assert len(stage.made) == 2


async def test_stop_takes_no_more_and_leaves_the_socket_to_a_successor(stage: Stage) -> None:
    acceptor = stage.accept()
    await stage.talk()
    acceptor.stop()
    acceptor.stop()
    waiting = stage.dial()
    await asyncio.sleep(0.05)
    assert len(stage.made) == 1
    acceptor.start(stage.listener)  # as a successor would: who waited is served
    await stage.until(lambda: len(stage.made) == 2)
    assert await asyncio.get_running_loop().sock_recv(waiting, 5) == b"hello"
    with pytest.raises(RuntimeError, match="already"):
        acceptor.start(stage.listener)
    acceptor.stop(close=True)
    acceptor.stop(close=True)
    assert acceptor.listener is None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(stage.made[0].transport.get_extra_info("sockname"), 5).close()


async def test_a_handshake_that_began_before_the_stop_is_finished(
    stage: Stage, authority: Callable[[str], Any]
) -> None:
    ours = authority("a")
    acceptor = stage.accept(context=server_context(ours.issue("n", [NODE])))
    context = client_context(ours.issue("c", [CLIENT]))
    answer, question = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(answer, question)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    client = stage.dial()
    client.send(question.read())
    await stage.until(lambda: acceptor.handshaking == 1)
    acceptor.stop(close=True)
    loop = asyncio.get_running_loop()
    greeting = b""
    async with asyncio.timeout(5):
        while not greeting:
            answer.write(await loop.sock_recv(client, 65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                greeting = tls.read(5)
            await loop.sock_sendall(client, question.read())
        await acceptor.settled()
    assert greeting == b"hello"


async def test_abort_drops_what_is_in_its_handshake(stage: Stage, authority: Callable[[str], Any]) -> None:
    acceptor = stage.accept(context=server_context(authority("a").issue("n", [NODE])))
    clients = [stage.begin() for _ in range(3)]
    await stage.until(lambda: acceptor.handshaking == 3)
    acceptor.abort()
    await asyncio.wait_for(acceptor.settled(), 5)
    for client in clients:
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b""


class Exhausted:
    """A listening socket whose process has no descriptor left, for a while."""

    def __init__(self, real: socket.socket, failures: list[int]) -> None:
        self.real = real
        self.failures = failures
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def accept(self) -> tuple[socket.socket, Any]:
        self.calls += 1
        if self.failures:
            raise OSError(self.failures.pop(0), "made up")
        return self.real.accept()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
async def test_without_descriptors_it_pauses_logs_once_and_goes_on(
    stage: Stage, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    real = stage.listener
    stage.listener = listener = cast(Any, Exhausted(real, [number] * 3))
    stage.accept()
    started = time.monotonic()
    await stage.talk()
    assert time.monotonic() - started >= 0.29
    assert listener.calls <= 6
    assert [record.message for record in caplog.records] == ["connections cannot be accepted"]


async def test_a_connection_that_went_away_before_it_was_accepted_does_not_pause(stage: Stage) -> None:
    stage.listener = cast(Any, Exhausted(stage.listener, [errno.ECONNABORTED, errno.EAGAIN, errno.EINTR]))
    stage.accept()
    started = time.monotonic()
    await stage.talk()
    assert time.monotonic() - started < 5


async def test_a_protocol_that_cannot_be_made_costs_that_connection_only(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    acceptor = stage.accept()
    good = acceptor._make  # the test's own way to break it for a while

    def broken() -> asyncio.Protocol:
        raise ValueError("no")

    acceptor._make = broken
    client = stage.dial()
    async with asyncio.timeout(5):
        assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
    assert "task failed" in caplog.text
    acceptor._make = good
    await stage.talk()


class Others:
    """Neighbours that have fewer connections, or room."""

    def __init__(self, *, fewer: bool = False, room: bool = False) -> None:
        self.fewer = fewer
        self.room = room
        self.asked = 0

    def step_back(self) -> bool:
        self.asked += 1
        return self.fewer

    def stay_out(self) -> bool:
        return self.room


async def test_who_has_more_leaves_connections_to_a_neighbour_that_is_there(stage: Stage) -> None:
    taken: list[socket.socket] = []

    class Quick(Others):
        """Takes a connection as soon as it is left to it."""

        def step_back(self) -> bool:
            taken.append(stage.listener.accept()[0])
            return True

    acceptor = stage.accept(neighbours=Quick())
    stage.dial()
    await stage.until(lambda: bool(taken))
    await stage.until(lambda: not waits(acceptor))
    assert stage.made == []
    taken[0].close()


async def test_who_has_more_takes_what_no_neighbour_comes_for(stage: Stage) -> None:
    others = Others(fewer=True)
    stage.accept(neighbours=others)
    await asyncio.gather(*(stage.talk() for _ in range(5)))
    assert len(stage.made) == 5
    assert others.asked >= 5, "each is left to them first"


async def test_who_is_full_leaves_connections_to_a_neighbour_with_room_and_refuses_none(stage: Stage) -> None:
    others = Others(room=True)
    acceptor = stage.accept(room=lambda: False, neighbours=others)
    stage.dial()
    await stage.until(lambda: waits(acceptor))
    assert stage.refused == []
    others.room = False
    await stage.until(lambda: stage.refused == [TOO_MANY])
