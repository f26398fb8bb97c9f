"""The admin HTTP server: a few read-only pages for monitoring, with every wait and buffer bounded.

It speaks as much HTTP/1.1 as a scraper needs: GET and HEAD, one request a connection.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final, NamedTuple, cast

from hsm_daemon import listening, logs
from hsm_daemon.accepting import Acceptor
from hsm_daemon.errors import StartError
from hsm_daemon.http_head import BadRequest, is_local_name, parse_head
from hsm_daemon.log_limit import LimitedLog
from hsm_daemon.pace import Pace
from hsm_daemon.tasks import spawn

MAX_HEAD_BYTES = 8192  # request line and headers together
HEAD_TIMEOUT_S = 5.0  # from connecting to the end of the head, however slowly bytes come
WRITE_TIMEOUT_S = 10.0  # for the peer to take the answer and close
CLOSING_TIMEOUT_S = 5.0  # for the end of TLS
MAX_CONNECTIONS = 32  # at the same time; one scraper needs one
BACKLOG = 256  # connections that wait to be accepted
PACE: Final = Pace(handshakes_per_s=100.0, burst=128, at_once=128)
"""Of whoever reaches the port, with a certificate or without: peers that begin a handshake and never end it hold the
others up, for each has a second while others wait."""

_log = logs.logger("daemon.admin")
_limited = LimitedLog(_log, 1)
"""Lines that whoever asks causes."""

REASONS = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    421: "Misdirected Request", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    503: "Service Unavailable", 505: "HTTP Version Not Supported",
}  # fmt: skip


def bind(host: str, port: int) -> socket.socket:
    """Return a listener for an admin server.

    Raises:
        StartError: the address is in use, or not this host's.
    """
    try:
        return listening.bind(host, port, BACKLOG)
    except StartError as error:
        raise StartError(f"admin: {error}") from None


class AdminAnswer(NamedTuple):
    """One page."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})
    """Further ones, printable ASCII."""


Page = Callable[[], AdminAnswer | Awaitable[AdminAnswer]]
"""Makes a page: at once, so it must be quick, or it asks others for it, in a task of its own."""
Routes = Mapping[str, Page]


class AdminServer:
    """Serves `routes` (path -> what makes the page, called in the event loop)."""

    def __init__(
        self,
        host: str,
        port: int,
        routes: Routes,
        tls: ssl.SSLContext | None = None,
        *,
        sock: socket.socket | None = None,
    ) -> None:
        """Prepare.

        Args:
            host: to listen on.
            port: to listen on; 0: any free one.
            routes: the pages.
            tls: needed for an address that is not loopback.
            sock: an inherited listener, to be used instead of host and port; `stop` closes it.
        """
        self._host = host
        self._port = port
        self._sock = sock
        self._connections: dict[_Connection, None] = {}
        self._acceptor = Acceptor(
            lambda: _Connection(routes, self._connections),
            PACE,
            context=tls,
            handshake_s=HEAD_TIMEOUT_S,
            closing_s=CLOSING_TIMEOUT_S,
            room=None,
            refused=lambda reason: _limited.event("warning", "an admin connection is refused", reason=reason),
        )

    @property
    def listener(self) -> socket.socket | None:
        """The listening socket, for a handover; None when it does not listen."""
        return self._acceptor.listener

    def replace_context(self, tls: ssl.SSLContext) -> None:
        """Use new certificates for new connections; without TLS from the start there is nothing to replace."""
        if self._acceptor.context is not None:
            self._acceptor.context = tls

    async def start(self) -> tuple[str, int]:
        """Listen; return the address that was bound (port 0 = any free one).

        Raises:
            StartError: the address cannot be used, or not without TLS.
        """
        host = self._host if self._sock is None else listening.address_of(self._sock)[0]
        if self._acceptor.context is None and not _is_loopback(host):
            raise StartError(f"admin address {host} is not loopback; use 127.0.0.1 or configure tls")
        listener = self._sock
        if listener is None:
            listener = bind(self._host, self._port)
        self._acceptor.start(listener)
        return listening.address_of(listener)

    async def stop(self) -> None:
        """Stop listening and drop what is open."""
        self._acceptor.stop(close=True)
        self._acceptor.abort()
        await self._acceptor.settled()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # they hear of it


class _Connection(asyncio.Protocol):
    """One request, one answer, then the end."""

    def __init__(self, routes: Routes, connections: "dict[_Connection, None]") -> None:
        self._routes = routes
        self._connections = connections
        self._head = bytearray()
        self._asked = False
        self._answered = False
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's own do not derive from it
        self._transport = transport
        if len(self._connections) >= MAX_CONNECTIONS:
            # The one that has kept us waiting longest goes: whoever opens many and says nothing must not keep a
            # supervisor from asking whether we live.
            oldest = next(iter(self._connections))
            del self._connections[oldest]
            oldest.abort()
            _limited.event("warning", "an admin connection is dropped", reason="too many; it was the oldest")
        self._connections[self] = None
        self._timer = asyncio.get_running_loop().call_later(HEAD_TIMEOUT_S, self._head_late)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio names it
        self._connections.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._asked or self._answered:
            return  # read and dropped: closing with unread bytes would reset the connection and lose the answer
        self._head += data[: MAX_HEAD_BYTES + 1 - len(self._head)]
        end = self._head.find(b"\r\n\r\n")
        if end >= 0:
            self._request(bytes(self._head[:end]))
        elif len(self._head) > MAX_HEAD_BYTES:
            self._answer(_text(431, f"the request's head is longer than {MAX_HEAD_BYTES} bytes"))

    def eof_received(self) -> bool:
        # A peer that has sent its request and half-closed still gets its answer; then there is nothing to wait for.
        return self._asked and not self._answered and not self._encrypted  # TLS knows no half-closed connection

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _request(self, head: bytes) -> None:
        self._asked = True
        try:
            method, path, host = parse_head(head)
        except BadRequest as error:
            self._answer(_text(error.status, str(error)))
            return
        if not self._encrypted and not is_local_name(host):  # with TLS no site can be taken for us, nor we for it
            self._answer(_text(421, "ask by address, or as localhost: another name may be that of somebody's web site"))
            return
        if method not in ("GET", "HEAD"):
            self._answer(_text(405, "only GET and HEAD"), extra="Allow: GET, HEAD\r\n")
            return
        page = self._routes.get(path)
        answer = _text(404, "no such page") if page is None else _made(page, path)
        if isinstance(answer, AdminAnswer):
            self._answer(answer, with_body=method == "GET")
        else:  # within HEAD_TIMEOUT_S of the connection's beginning
            spawn(self._answer_later(answer, path, with_body=method == "GET"), f"admin page {path}")

    async def _answer_later(self, page: Awaitable[AdminAnswer], path: str, *, with_body: bool) -> None:
        try:
            answer = await page
        except Exception as error:  # noqa: BLE001 - as of any page
            answer = _failed(error, path)
        self._answer(answer, with_body=with_body)

    @property
    def _encrypted(self) -> bool:
        return self._transport is not None and self._transport.get_extra_info("ssl_object") is not None

    def _answer(self, answer: AdminAnswer, *, with_body: bool = True, extra: str = "") -> None:
        if self._transport is None or self._answered or self._transport.is_closing():
            return  # whoever asked has gone, or the server has stopped
        self._answered = True
        self._head.clear()
        extra += "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        head = (
            f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Status')}\r\n"
            f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n"
            f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{extra}Connection: close\r\n\r\n"
        )
        self._transport.write(head.encode("ascii") + (answer.body if with_body else b""))
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(WRITE_TIMEOUT_S, self.abort)
        if self._transport.can_write_eof():
            self._transport.write_eof()  # the peer closes when it has read all; data_received drops the rest
        else:
            self._transport.close()  # TLS ends by its own closing message

    def _head_late(self) -> None:
        if self._asked:
            self._answer(_text(503, f"this page was not made within {HEAD_TIMEOUT_S:g} s"))
        else:
            self._answer(_text(408, f"no complete request within {HEAD_TIMEOUT_S:g} s"))


def _made(page: Page, path: str) -> AdminAnswer | Awaitable[AdminAnswer]:
    try:
        return page()
    except Exception as error:  # noqa: BLE001 - a broken page must not take the daemon's other work with it
        return _failed(error, path)


def _failed(error: Exception, path: str) -> AdminAnswer:
    _limited.exception("admin page failed", error, path=path)
    return _text(500, "this page failed; the log says why")


def _text(status: int, text: str) -> AdminAnswer:
    return AdminAnswer(status, "text/plain; charset=utf-8", text.encode() + b"\n")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
