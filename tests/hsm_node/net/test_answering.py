"""Which nodes answer: in the protocol, not by taking a connection."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hsm_daemon.tls import client_context
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


async def test_a_refusal_by_tls_is_an_answer(authority: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 2.0)
    files = authority.issue("spiffe://dev/node/node-1", "node-1")
    context = client_context(files)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    server.maximum_version = ssl.TLSVersion.TLSv1_2  # It ends the handshake with an alert.
    listener = await asyncio.start_server(silent, "127.0.0.1", 0, ssl=server)
    async with listener:
        there = listener.sockets[0].getsockname()[:2]
        assert list(await Answering(lambda: context)({"node-1": [there]})) == ["node-1"]
