"""TLS of our own on real sockets and both loops: between two of us, and with the standard library at either end."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from hsm_daemon import tls_opening
from hsm_daemon.tasks import spawn
from hsm_daemon.tls import TlsLimits, client_context, peer_identity, server_context

NODE, CLIENT = "spiffe://test/node/n", "spiffe://test/client/c"
LIMITS = TlsLimits(5.0, 5.0)


class End(asyncio.Protocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.ended = False
        self.writing = asyncio.Event()
        self.writing.set()
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def eof_received(self) -> None:
        self.ended = True

    def pause_writing(self) -> None:
        self.writing.clear()

    def resume_writing(self) -> None:
        self.writing.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)

    async def until(self, size: int) -> bytes:
        async with asyncio.timeout(20):
            while len(self.heard) < size:
                await asyncio.sleep(0.001)
        return bytes(self.heard)


class Echo(End):
    """Says everything back."""

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Stage:
    """A listening socket whose connections are accepted with TLS of our own."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        self.server, self.client = server, client
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.host, self.port = self.listener.getsockname()
        self.limits = LIMITS
        self.make: Callable[[], End] = End
        self.ends: list[End] = []
        self.failed: list[BaseException] = []
        self.tasks: list[asyncio.Task[None]] = [spawn(self._serve(), "accept")]

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self.listener)
            self.tasks.append(spawn(self._accept(connection), "accepted"))

    async def _accept(self, connection: socket.socket) -> None:
        end = self.make()
        try:
            await tls_opening.accept(end, connection, self.server, self.limits)
        except OSError as error:
            self.failed.append(error)
        else:
            self.ends.append(end)

    async def connect(self, context: ssl.SSLContext | None = None, limits: TlsLimits = LIMITS) -> End:
        end = End()
        await tls_opening.connect(end, self.host, self.port, context or self.client, limits)
        return end

    async def accepted(self, number: int = 1) -> End:
        await self.until(lambda: len(self.ends) >= number)
        return self.ends[number - 1]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.001)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)
        self.listener.close()
        for end in self.ends:
            if not end.lost.done():
                end.transport.abort()
                await end.lost


@pytest.fixture(scope="module")
def contexts(lasting_authority: Callable[[str], Any]) -> tuple[ssl.SSLContext, ssl.SSLContext, ssl.SSLContext]:
    ours, theirs = lasting_authority("a"), lasting_authority("b")
    return (
        server_context(ours.issue("n", [NODE])),
        client_context(ours.issue("c", [CLIENT])),
        client_context(theirs.issue("c", [CLIENT])),
    )


@pytest.fixture
async def stage(contexts: tuple[ssl.SSLContext, ...]) -> AsyncIterator[Stage]:
    made = Stage(contexts[0], contexts[1])
    yield made
    await made.close()


async def closed(end: End) -> Exception | None:
    """Close in order, and return what the protocol was told."""
    end.transport.close()
    return await asyncio.wait_for(end.lost, 10)


async def test_both_ends_know_each_other_and_say_goodbye(stage: Stage) -> None:
    client = await stage.connect()
    server = await stage.accepted()
    seen = [peer_identity(end.transport) for end in (client, server)]
    assert [who and who.identity for who in seen] == [NODE, CLIENT]
    assert server.transport.get_extra_info("peername") == client.transport.get_extra_info("sockname")
    assert server.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    client.transport.write(b"last words")
    assert await closed(client) is None
    assert await server.lost is None
    assert bytes(server.heard) == b"last words"
    assert server.ended
    assert not client.ended


@pytest.mark.parametrize("size", [1, 16384, 16385, 3_000_000])
async def test_bodies_of_all_sizes_come_back(stage: Stage, size: int) -> None:
    stage.make = Echo
    client = await stage.connect()
    message = bytes(range(256)) * (size // 256) + b"?" * (size % 256)
    client.transport.write(message)
    assert await client.until(size) == message
    assert await closed(client) is None


async def test_many_connections_share_one_buffer_and_hear_their_own(stage: Stage) -> None:
    stage.make = Echo
    clients = await asyncio.gather(*(stage.connect() for _ in range(20)))
    for number, client in enumerate(clients):
        for size in (1, 70_000, 300_000):
            client.transport.write(bytes([number]) * size)
    for number, client in enumerate(clients):
        assert await client.until(370_001) == bytes([number]) * 370_001
    for client in clients:
        await closed(client)


async def test_who_is_paused_hears_nothing_and_the_writer_waits(stage: Stage) -> None:
    client = await stage.connect()
    server = await stage.accepted()
    server.transport.pause_reading()
    client.transport.set_write_buffer_limits(high=100_000)
    sent = 0
    async with asyncio.timeout(20):
        while client.writing.is_set():
            client.transport.write(bytes(50_000))
            sent += 50_000
            await asyncio.sleep(0)
    assert client.transport.get_write_buffer_size() > 100_000
    await asyncio.sleep(0.05)
    assert not server.heard
    server.transport.resume_reading()
    await asyncio.wait_for(client.writing.wait(), 20)
    assert len(await server.until(sent)) == sent
    await closed(client)


async def test_everything_written_before_the_close_arrives(stage: Stage) -> None:
    client = await stage.connect()
    server = await stage.accepted()
    client.transport.write(b"w" * 5_000_000)
    assert await closed(client) is None
    assert bytes(server.heard) == b"w" * 5_000_000
    assert server.ended


async def test_a_peer_that_takes_nothing_does_not_hold_up_the_close(stage: Stage) -> None:
    stage.limits = TlsLimits(5.0, 0.05)
    client = await stage.connect()
    server = await stage.accepted()
    client.transport.pause_reading()
    server.transport.write(bytes(20_000_000))
    assert await closed(server) is None
    client.transport.abort()
    await client.lost


async def test_a_reset_ends_the_connection(stage: Stage) -> None:
    client = await stage.connect()
    server = await stage.accepted()
    client.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.transport.abort()
    await client.lost
    await asyncio.wait_for(server.lost, 10)
    assert not server.ended
    server.transport.write(b"to nobody")
    server.transport.close()
    assert server.transport.is_closing()


async def test_a_client_of_another_authority_reads_why_it_is_refused(
    stage: Stage, contexts: tuple[ssl.SSLContext, ...], lasting_authority: Callable[[str], Any]
) -> None:
    stranger = contexts[2]
    with pytest.raises(ssl.SSLCertVerificationError):
        await stage.connect(stranger)  # which does not trust this server either, and says so
    await stage.until(lambda: len(stage.failed) == 1)
    assert "ALERT" in str(stage.failed[0])
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname = False
    careless.verify_mode = ssl.CERT_NONE
    client = await stage.connect(careless)
    client.transport.write(b"x" * 100_000)  # unread bytes would make the server's end a reset
    assert "CERTIFICATE_REQUIRED" in str(await asyncio.wait_for(client.lost, 10))
    await stage.until(lambda: len(stage.failed) == 2)
    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in str(stage.failed[1])
    assert not stage.ends


async def test_a_handshake_that_does_not_go_on_is_given_up_at_either_end(stage: Stage) -> None:
    stage.limits = TlsLimits(0.05, 5.0)
    with socket.create_connection((stage.host, stage.port), 5):
        await stage.until(lambda: len(stage.failed) == 1)
    assert isinstance(stage.failed[0], ConnectionAbortedError)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(ConnectionAbortedError, match=r"0\.05 s"):
        await tls_opening.connect(End(), *listener.getsockname(), stage.client, stage.limits)


async def test_a_caller_that_gives_up_leaves_nothing_open(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        end = End()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await tls_opening.connect(end, *listener.getsockname(), stage.client, LIMITS)
        accepted, _ = listener.accept()
        accepted.setblocking(False)
        with accepted:
            async with asyncio.timeout(5):
                while await asyncio.get_running_loop().sock_recv(accepted, 65536):  # the hello, then the end
                    pass
        assert not end.lost.done()


async def test_nobody_at_the_address_is_an_error_as_without_tls(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(ConnectionRefusedError):
        await tls_opening.connect(End(), *address, stage.client, LIMITS)
    with pytest.raises(ValueError, match="idna"):
        await tls_opening.connect(End(), ".nowhere", 1, stage.client, LIMITS)


# ---- the standard library at the other end


async def test_a_client_of_asyncio_is_served(stage: Stage) -> None:
    stage.make = Echo
    reader, writer = await asyncio.open_connection(stage.host, stage.port, ssl=stage.client, server_hostname="")
    writer.write(b"e" * 200_000)
    assert await asyncio.wait_for(reader.readexactly(200_000), 10) == b"e" * 200_000
    stage.ends[0].transport.close()
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    assert await asyncio.wait_for(stage.ends[0].lost, 10) is None


async def test_a_blocking_client_is_served_and_hears_the_goodbye(stage: Stage) -> None:
    stage.make = Echo
    found: list[bytes] = []

    def talk() -> None:
        raw = socket.create_connection((stage.host, stage.port), 10)
        with stage.client.wrap_socket(raw, suppress_ragged_eofs=False) as connection:
            connection.sendall(b"b" * 100_000)
            got = b""
            while len(got) < 100_000:
                got += connection.recv(65536)
            found.append(got)
            connection.unwrap().close()

    await asyncio.wait_for(asyncio.to_thread(talk), 20)
    assert found == [b"b" * 100_000]
    assert await asyncio.wait_for(stage.ends[0].lost, 10) is None
    assert stage.ends[0].ended


async def test_a_blocking_server_is_talked_to_and_its_cut_is_no_end(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            raw, _ = listener.accept()
            with stage.server.wrap_socket(raw, server_side=True) as connection:
                connection.sendall(connection.recv(5))  # and ends without close_notify

        thread = threading.Thread(target=serve)
        thread.start()
        client = End()
        await tls_opening.connect(client, *listener.getsockname(), stage.client, LIMITS)
        client.transport.write(b"hello")
        assert await asyncio.wait_for(client.lost, 10) is None
        assert bytes(client.heard) == b"hello"
        assert not client.ended
        thread.join()
