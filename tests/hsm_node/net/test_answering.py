"""Which nodes answer: in the protocol, not by taking a connection."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hsm_daemon.tls import client_context, server_context
from hsm_node.net import answering as module
from hsm_node.net.answering import Answering

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@contextlib.asynccontextmanager
async def listening(handle: Handle) -> AsyncIterator[tuple[str, int]]:
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[:2]


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hang: the connection is taken, and nothing is said."""
    with contextlib.suppress(OSError):
        await reader.read()
    writer.close()


async def stranger(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4)
    writer.close()


async def test_a_node_answers_where_it_greets_at_one_of_its_addresses(
    start_node: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 2.0)
    there = start_node().address
    ask = Answering(lambda: None)
    async with listening(silent) as hangs, listening(stranger) as other:
        ways = {"node-2": [("127.0.0.1", 9), there], "node-1": [hangs], "node-3": [], "node-4": [other]}
        assert list(await ask(ways)) == ["node-2"]


async def test_with_tls_who_ends_the_handshake_lives(authority: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 2.0)
    files = authority.issue("spiffe://dev/node/node-1", "node-1")
    other = authority.issue("spiffe://dev/node/node-2", "node-2")
    context = client_context(files)
    ask = Answering(lambda: context)
    later = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # As if it did not know who issued that.
    later.check_hostname = False
    server = await asyncio.start_server(silent, "127.0.0.1", 0, ssl=server_context(other))
    async with server, listening(silent) as hangs:
        there = server.sockets[0].getsockname()[:2]
        assert list(await ask({"node-1": [there], "node-2": [hangs]})) == ["node-1"]
        assert list(await Answering(lambda: later)({"node-1": [there]})) == ["node-1"]
