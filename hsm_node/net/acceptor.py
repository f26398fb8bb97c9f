"""The listening socket and its links: who may connect, how many, and how they are sent away."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from hsm_daemon import clock, logs
from hsm_daemon.accepting import Acceptor as Accepting
from hsm_daemon.log_limit import LimitedLog
from hsm_daemon.pace import Pace
from hsm_daemon.stall import StallGuard
from hsm_daemon.tls import peer_identity
from hsm_node import SOFTWARE
from hsm_node.core.limits import Limits
from hsm_node.core.refusal import Refusal
from hsm_node.net.host import Answered
from hsm_node.net.link import Link
from hsm_node.net.slow_requests import SlowRequests
from hsm_node.service.request import Request, Serving
from hsm_wire.limits import DEFAULT_MAX_FRAME_BYTES
from hsm_wire.messages import Hello
from hsm_wire.statuses import Status

_log = LimitedLog(logs.logger("hsm_node.net"), 1)

LISTEN_BACKLOG: Final = 128
"""Connections that the system holds until they are accepted."""


class Acceptor:
    """Implements `Host` for its links."""

    def __init__(
        self,
        cluster: str,
        name: str,
        configuration_hash: str,
        service: Serving,
        limits: Limits,
        *,
        tls: bool,
        answered: Answered,
        served: Callable[[int, float], None],
        pong: Callable[[], bytes],
    ) -> None:
        self.cluster = cluster
        self.max_frame_bytes = DEFAULT_MAX_FRAME_BYTES
        self.links: set[Link] = set()
        self.answered = answered
        self.served = served
        self.pong = pong
        self.slow = SlowRequests()
        self.service = service
        """Another one after the node was unsealed."""
        self._limits = limits
        self._name = name
        self.configuration_hash = configuration_hash
        """Of the cluster file in use."""
        self._tls = tls
        self._empty = asyncio.Event()
        self._empty.set()
        self._leaving = False
        self._guard = StallGuard(limits.stall_s)
        self._accepting: Accepting | None = None
        self.stalls = 0
        """Times that the loop stood still for longer than `stall_s`."""
        self.last_stall_s = 0.0
        """For how long it did the last time."""
        self.stale_answers = 0
        """Answers that were marked stale."""

    def start(self, bound: socket.socket, context: ssl.SSLContext | None) -> None:
        """Take connections on a bound socket."""
        limits = self._limits
        self._accepting = Accepting(
            lambda: Link(self, limits.hello_s),
            Pace(limits.handshakes_per_s, limits.handshakes_burst, limits.handshakes_at_once),
            context=context,
            handshake_s=limits.handshake_s,
            closing_s=limits.closing_s,
            room=lambda: not self._leaving and len(self.links) < limits.links,
            refused=lambda reason: _log.event("warning", "a connection is refused", reason=reason),
        )
        self._accepting.start(bound)
        self._guard.beat(clock.monotonic())

    def replace_context(self, context: ssl.SSLContext) -> None:
        """Use other certificates for new connections."""
        if self._accepting is not None:
            self._accepting.context = context

    @property
    def beat_every_s(self) -> float:
        """How often `beat` is to be called."""
        return self._guard.beat_every_s

    def beat(self) -> None:
        """Note that the loop turns; look whether a store that could not be read can be read again."""
        self.stalled()
        self._guard.beat(clock.monotonic())
        if not self.service.current:
            self.service.follow()

    def dismiss(self, reason: str) -> None:
        """Send all proxies away at once: what they are still owed they ask for anew."""
        for link in list(self.links):
            link.dismiss(reason)

    async def stop(self, limit_s: float) -> None:
        """Send all proxies away, let them have their answers, and drop who is left after that time."""
        self._leaving = True
        if self._accepting is not None:
            self._accepting.stop(close=True)
            self._accepting.abort()
        for link in list(self.links):
            link.leave("the node is shutting down")
        try:
            if self.links:
                await asyncio.wait_for(self._empty.wait(), limit_s)
        except TimeoutError:
            _log.event("warning", "dropping connections that did not end", links=len(self.links))
        for link in list(self.links):
            link.abort()

    @property
    def proxies(self) -> int:
        """Distinct proxies with a greeted connection; each may have several."""
        return len({link.peer for link in self.links if link.greeted})

    # ---- Host

    @property
    def current(self) -> bool:
        """Whether the keys are those of the store."""
        return self.service.current

    def stalled(self) -> bool:
        """Drop every connection if the loop stood still until now: what they sent meanwhile is old."""
        pause = self._guard.stalled_for(clock.monotonic())
        if not pause:
            return False
        self.stalls += 1
        self.last_stall_s = pause
        self._guard.beat(clock.monotonic())
        _log.event("warning", "the loop stood still; all proxies are dropped", seconds=round(pause, 3))
        self.service.doubt()
        self.service.follow()  # Where the store answers, the doubt is over at once.
        self.dismiss("the node stood still")  # In words, so that no request is suspected of having stopped it.
        return True

    def admit(self, link: Link, transport: asyncio.BaseTransport) -> str | None:
        """Take a connection; return its identity (empty without TLS), None where there is no room.

        Raises:
            Refusal: it is no proxy; HELLO is answered with this.
        """
        if self._leaving or len(self.links) >= self._limits.links:
            return None
        self.links.add(link)
        self._empty.clear()
        if not self._tls:
            return ""
        peer = peer_identity(transport)
        identity = "none" if peer is None else peer.identity
        if identity.startswith(f"spiffe://{self.cluster}/proxy/"):
            return identity
        _log.event("warning", "a peer that is no proxy of this cluster is refused", identity=identity)
        raise Refusal(
            Status.DENIED,
            f"nodes take proxies of cluster {self.cluster} only; connect to a proxy, or correct the certificate",
        )

    def welcome(self, hello: Hello) -> tuple[str, str]:
        """Return this node's name and configuration hash; a proxy with another configuration is only reported."""
        if hello.configuration_hash and hello.configuration_hash != self.configuration_hash:
            _log.event("warning", "a proxy has another cluster configuration", proxy=hello.name)
        return f"{SOFTWARE} {self._name}", self.configuration_hash

    def follow(self) -> None:
        """Bring the keys to the store's state."""
        self.service.follow()

    def serve(self, request: Request) -> None:
        """Serve a request."""
        self.service.serve(request)

    def answered_stale(self) -> None:
        """Count an answer that is marked stale."""
        self.stale_answers += 1

    def closed(self, link: Link) -> None:
        """Forget a link."""
        self.links.discard(link)
        if not self.links:
            self._empty.set()
