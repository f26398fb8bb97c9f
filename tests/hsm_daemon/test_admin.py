"""The admin server against a real socket, hostile input included."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hsm_daemon import admin
from hsm_daemon.admin import AdminAnswer, AdminServer
from hsm_daemon.errors import StartError
from hsm_daemon.listening import address_of, bind
from hsm_daemon.tls import client_context, peer_identity, server_context


def fails() -> AdminAnswer:
    raise RuntimeError("broken page")


async def later() -> AdminAnswer:
    await asyncio.sleep(0)
    return AdminAnswer(200, "text/plain", b"late\n")


async def fails_later() -> AdminAnswer:
    await asyncio.sleep(0)
    raise RuntimeError("broken page")


async def never() -> AdminAnswer:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Return the port of a running server."""
    alive = AdminAnswer(200, "text/plain", b"ok\n", {"Referrer-Policy": "no-referrer"})
    routes = {"/livez": lambda: alive, "/bad": fails, "/later": later, "/bad-later": fails_later, "/never": never}
    server = AdminServer("127.0.0.1", 0, routes)
    _, number = await server.start()
    yield number
    await server.stop()


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_page_is_served_and_head_has_no_body(port: int) -> None:
    got = await ask(port, b"GET /livez?x=1 HTTP/1.1\r\nHost: localhost:9410\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert got.endswith(b"\r\n\r\nok\n")
    assert b"\r\nReferrer-Policy: no-referrer\r\n" in got
    head = await ask(port, b"HEAD /livez HTTP/1.0\r\n\r\n")
    assert b"Content-Length: 3\r\n" in head
    assert head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /none HTTP/1.1\r\n\r\n", 404),
        (b"GET /bad HTTP/1.1\r\n\r\n", 500),
        (b"GET /livez HTTP/1.1\r\nHost: rebound.example:9410\r\n\r\n", 421),
        (b"POST /livez HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"\x16\x03\x01\x00\xff\r\n\r\n", 400),
        (b"GET /livez HTTP/2.0\r\n\r\n", 505),
        (b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /" + b"a" * 200_000, 431),
    ],
)
async def test_hostile_requests_get_an_answer(port: int, request_bytes: bytes, status: int) -> None:
    assert (await ask(port, request_bytes)).startswith(b"HTTP/1.1 %d " % status)


async def test_a_slow_head_ends_in_time(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "HEAD_TIMEOUT_S", 0.05)
    assert (await ask(port, b"GET /li")).startswith(b"HTTP/1.1 408 ")


async def test_whoever_waits_longest_makes_room_for_the_next(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "MAX_CONNECTIONS", 2)
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    for _ in range(2):
        await asyncio.sleep(0)
    assert b"200" in await ask(port, b"GET /livez HTTP/1.1\r\n\r\n")
    reader, _ = silent[0]
    with contextlib.suppress(ConnectionResetError):  # the other way to see a dropped connection
        assert await asyncio.wait_for(reader.read(), 5) == b""
    for _, writer in silent:
        writer.close()


async def test_addresses_that_cannot_be_used_are_named(port: int) -> None:
    with pytest.raises(StartError, match="^admin: cannot listen on .* in use; stop"):
        await AdminServer("127.0.0.1", port, {}).start()
    with pytest.raises(StartError, match="not loopback"):
        await AdminServer("0.0.0.0", 0, {}).start()


async def test_an_inherited_listener_is_served_exposed_and_closed() -> None:
    listener = bind("127.0.0.1", 0, 5)
    server = AdminServer("192.0.2.1", 9410, {"/": lambda: AdminAnswer(200, "text/plain", b"x")}, sock=listener)
    assert server.listener is None
    assert await server.start() == address_of(listener)
    assert server.listener is listener
    assert (await ask(address_of(listener)[1], b"GET / HTTP/1.1\r\n\r\n")).endswith(b"x")
    await server.stop()
    await server.stop()
    assert server.listener is None
    assert listener.fileno() == -1


async def test_an_inherited_listener_for_all_to_reach_needs_tls(authority: Callable[[str], Any]) -> None:
    with bind("0.0.0.0", 0, 5) as listener:
        with pytest.raises(StartError, match=r"0\.0\.0\.0 is not loopback"):
            await AdminServer("127.0.0.1", 0, {}, sock=listener).start()
        files = authority("a").issue("n", ["spiffe://t/node/n"])
        server = AdminServer("127.0.0.1", 0, {}, server_context(files), sock=listener)
        await server.start()
        await server.stop()


async def test_new_certificates_are_used_by_new_connections(authority: Callable[[str], Any]) -> None:
    ours = authority("a")
    client = client_context(ours.issue("c", ["spiffe://t/client/c"]))
    server = AdminServer("127.0.0.1", 0, {}, server_context(ours.issue("n", ["spiffe://t/node/old"])))
    _, number = await server.start()
    seen = []
    for _ in range(2):
        _, writer = await asyncio.open_connection("127.0.0.1", number, ssl=client, server_hostname="")
        seen.append(peer_identity(writer.transport))
        writer.close()
        await writer.wait_closed()
        server.replace_context(server_context(ours.issue("n2", ["spiffe://t/node/new"])))
    assert [who and who.identity for who in seen] == ["spiffe://t/node/old", "spiffe://t/node/new"]
    await server.stop()
    plain = AdminServer("127.0.0.1", 0, {"/": lambda: AdminAnswer(200, "text/plain", b"x")})
    _, number = await plain.start()
    plain.replace_context(server_context(ours.issue("n3", ["spiffe://t/node/new"])))
    assert (await ask(number, b"GET / HTTP/1.1\r\n\r\n")).endswith(b"x")
    await plain.stop()


async def test_stop_drops_open_connections_and_tls_serves_pages(authority: Callable[[str], Any]) -> None:
    ours = authority("a")
    files, client = ours.issue("n", ["spiffe://t/node/n"]), ours.issue("c", ["spiffe://t/client/c"])
    pages = {"/": lambda: AdminAnswer(200, "text/plain", b"hello")}
    server = AdminServer("127.0.0.1", 0, pages, server_context(files))
    _, number = await server.start()
    context = client_context(client)
    reader, writer = await asyncio.open_connection("127.0.0.1", number, ssl=context, server_hostname="")
    writer.write(b"GET / HTTP/1.1\r\nHost: proxy-1.example:9410\r\n\r\n")  # its certificate says who it is
    assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"hello")
    writer.close()
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", number, ssl=context, server_hostname="")
    await asyncio.wait_for(server.stop(), 5)
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(idle.read(), 5) == b""
    idle_writer.close()


async def test_a_page_may_be_made_later(port: int) -> None:
    assert (await ask(port, b"GET /later HTTP/1.1\r\n\r\n")).endswith(b"\r\n\r\nlate\n")
    assert (await ask(port, b"GET /bad-later HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 500 ")


async def test_who_closes_its_half_of_the_connection_gets_a_page_that_is_made_later(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /later HTTP/1.1\r\n\r\n")
    writer.write_eof()
    assert (await asyncio.wait_for(reader.read(), 20)).endswith(b"late\n")
    writer.close()
    await writer.wait_closed()


async def test_who_goes_before_its_page_is_made_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    made: asyncio.Future[AdminAnswer] = asyncio.get_running_loop().create_future()
    asked = asyncio.Event()

    async def page() -> AdminAnswer:
        asked.set()
        return await made

    server = AdminServer("127.0.0.1", 0, {"/later": page})
    _, number = await server.start()
    _, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(b"GET /later HTTP/1.1\r\n\r\n")
    await asyncio.wait_for(asked.wait(), 20)
    await server.stop()
    made.set_result(AdminAnswer(200, "text/plain", b"too late\n"))
    await asyncio.sleep(0.01)
    writer.close()
    assert caplog.text == ""


async def test_a_page_that_is_never_made_is_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "HEAD_TIMEOUT_S", 0.05)
    assert (await ask(port, b"GET /never HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 503 ")
