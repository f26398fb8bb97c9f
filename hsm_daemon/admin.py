"""Read-only HTTP for people and Prometheus: metrics, health, status.

One request a connection, GET or HEAD, no body: so small that a scrape costs little and there is little to attack.
Every size and time is bounded.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from hsm_daemon import logs
from hsm_daemon.errors import StartError

MAX_HEAD_BYTES = 8192
"""Request line and headers."""
HEAD_TIMEOUT_S = 5.0
"""Time for a client to send them, and to read the answer."""
MAX_CONNECTIONS = 64

_log = logs.logger("admin")


@dataclass(frozen=True, slots=True)
class AdminAnswer:
    """What a route answers."""

    status: int
    content_type: str
    body: bytes


Route = Callable[[], AdminAnswer]


class AdminServer:
    """Serves the routes, `path -> function`. Functions run on the loop and must be quick."""

    def __init__(self, host: str, port: int, routes: Mapping[str, Route], *, tls: ssl.SSLContext | None = None) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self.routes = dict(routes)
        self.connections: set[_HttpConnection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> tuple[str, int]:
        """Listen; return the address that was bound.

        Raises:
            StartError: the address cannot be bound.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _HttpConnection(self), self._host, self._port, ssl=self._tls
            )
        except OSError as error:
            raise StartError(
                f"admin address {self._host}:{self._port} cannot be bound ({error.strerror}); free or change it"
            ) from None
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def stop(self) -> None:
        """Stop listening and close what is open."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.abort()
        if self._server is not None:
            await self._server.wait_closed()


class _HttpConnection(asyncio.Protocol):
    """One connection, one request."""

    def __init__(self, server: AdminServer) -> None:
        self._server = server
        self._head = bytearray()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)
        if len(self._server.connections) > MAX_CONNECTIONS:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", b"too many connections\n")
            return
        self._timer = asyncio.get_running_loop().call_later(HEAD_TIMEOUT_S, self.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return
        self._head += data
        if b"\r\n\r\n" in self._head:
            self._handle(bytes(self._head.partition(b"\r\n")[0]))
        elif len(self._head) > MAX_HEAD_BYTES:
            self._answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "text/plain", b"headers too large\n")

    def _handle(self, line: bytes) -> None:
        words = line.split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            self._answer(HTTPStatus.BAD_REQUEST, "text/plain", b"not an HTTP/1.1 request\n")
            return
        if words[0] not in (b"GET", b"HEAD"):
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", b"read-only: GET or HEAD\n")
            return
        route = self._server.routes.get(words[1].partition(b"?")[0].decode("latin-1"))
        if route is None:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"no such page\n")
            return
        try:
            answer = route()
        except Exception:  # noqa: BLE001 - a page that fails is answered with 500 and logged; the daemon goes on
            _log.exception("an admin page failed")
            answer = AdminAnswer(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", b"internal error\n")
        self._answer(answer.status, answer.content_type, answer.body, head_only=words[0] == b"HEAD")

    def _answer(self, status: int, content_type: str, body: bytes, *, head_only: bool = False) -> None:
        assert self._transport is not None
        self._answered = True
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\nCache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\n\r\n"
        ).encode()
        if not self._transport.is_closing():
            self._transport.write(head if head_only else head + body)
            self._transport.close()
        logs.event(_log, logging.DEBUG, "admin request", status=int(status))
