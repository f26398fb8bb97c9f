"""The listening socket and its links: who may connect, how many, and how they are sent away."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from hsm_daemon import logs
from hsm_daemon.errors import StartError
from hsm_daemon.tls import peer_identity
from hsm_node import SOFTWARE
from hsm_node.core.refusal import Refusal
from hsm_node.net.link import Link
from hsm_node.service.request import Request
from hsm_node.service.service import Service
from hsm_wire import limits
from hsm_wire.messages import Hello
from hsm_wire.statuses import Status

_log = logs.logger("hsm_node.net")

MAX_LINKS: Final = 256
"""Connections at a time; a proxy keeps a few for each of its paths."""
HELLO_LIMIT_S: Final = 5.0
"""How long a stranger may hold a connection before HELLO."""
LISTEN_BACKLOG: Final = 128


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 is any free one.

    Raises:
        StartError: the address is in use, or not this host's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartError(f"listen = {host}:{port}: {error.strerror}; correct the address") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(LISTEN_BACKLOG)
    except OSError as error:
        bound.close()
        raise StartError(
            f"listen = {host}:{port}: {error.strerror}; stop the program that uses it, or choose another address"
        ) from None
    bound.setblocking(False)
    return bound


class Acceptor:
    """Implements `Host` for its links."""

    def __init__(
        self,
        cluster: str,
        name: str,
        configuration_hash: str,
        service: Service,
        *,
        tls: bool,
        answered: Callable[[int, int], None],
        served: Callable[[int, float], None],
        pong: Callable[[], bytes],
    ) -> None:
        self.cluster = cluster
        self.max_frame_bytes = limits.DEFAULT_MAX_FRAME_BYTES
        self.links: set[Link] = set()
        self.answered = answered
        self.served = served
        self.pong = pong
        self.follow = service.follow
        self._service = service
        self._name = name
        self._configuration_hash = configuration_hash
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._empty = asyncio.Event()
        self._leaving = False

    async def start(self, bound: socket.socket, context: ssl.SSLContext | None) -> None:
        """Take connections on a bound socket."""
        loop = asyncio.get_running_loop()
        limit_s = None if context is None else HELLO_LIMIT_S
        self._server = await loop.create_server(self._new_link, sock=bound, ssl=context, ssl_handshake_timeout=limit_s)

    async def stop(self, limit_s: float) -> None:
        """Send all proxies away, let them have their answers, and drop who is left after that time."""
        self._leaving = True
        if self._server is not None:
            self._server.close()
        for link in list(self.links):
            link.leave("the node is shutting down")
        try:
            if self.links:
                await asyncio.wait_for(self._empty.wait(), limit_s)
        except TimeoutError:
            logs.event(_log, "warning", "dropping connections that did not end", links=len(self.links))
        for link in list(self.links):
            link.abort()

    @property
    def proxies(self) -> int:
        """Greeted connections."""
        return sum(1 for link in self.links if link.greeted)

    # ---- Host

    def admit(self, transport: asyncio.BaseTransport) -> bool:
        """Say whether this peer may connect.

        Raises:
            Refusal: it is no proxy; HELLO is answered with this.
        """
        if self._leaving or len(self.links) > MAX_LINKS:
            return False
        if not self._tls:
            return True
        peer = peer_identity(transport)
        identity = "none" if peer is None else peer.identity
        if identity.startswith(f"spiffe://{self.cluster}/proxy/"):
            return True
        logs.event(_log, "warning", "a peer that is no proxy of this cluster is refused", identity=identity)
        raise Refusal(
            Status.DENIED,
            f"nodes take proxies of cluster {self.cluster} only; connect to a proxy, or correct the certificate",
        )

    def welcome(self, hello: Hello) -> tuple[str, str]:
        """Return this node's name and configuration hash; a proxy with another configuration is only reported."""
        if hello.configuration_hash and hello.configuration_hash != self._configuration_hash:
            logs.event(_log, "warning", "a proxy has another cluster configuration", proxy=hello.name)
        return f"{SOFTWARE} {self._name}", self._configuration_hash

    def serve(self, request: Request) -> None:
        """Serve a request."""
        self._service.serve(request)

    def closed(self, link: Link) -> None:
        """Forget a link."""
        self.links.discard(link)
        if not self.links:
            self._empty.set()

    def _new_link(self) -> Link:
        link = Link(self, HELLO_LIMIT_S)
        self.links.add(link)
        self._empty.clear()
        return link
