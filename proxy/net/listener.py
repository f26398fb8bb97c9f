"""Accepts clients, says who they are, and bounds their number and their time."""

import asyncio
import ssl
from collections.abc import Callable

from hsm_cluster.cluster import Cluster
from hsm_daemon import clock, logs
from hsm_daemon.tls import PeerIdentity, peer_identity
from hsm_wire.messages import Pong
from proxy.core.dispatcher import Dispatcher
from proxy.core.principals import Bound, Principals
from proxy.core.settings import Settings
from proxy.net.client_protocol import ClientProtocol, proxy_pong
from proxy.net.write_gate import FlushTurn

_log = logs.logger("proxy.clients")
BACKLOG = 1024
"""Connections that the system holds until they are accepted."""
LOOK_S = 0.5
"""Between looks for clients that do not read or do not ask."""


class Listener:
    """What all connections of clients share."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        dispatcher: Dispatcher,
        principals: Principals,
        settings: Settings,
        turn: FlushTurn,
        software: str,
        boot_id: bytes,
        identity_without_tls: str | None,
        identify: Callable[[asyncio.BaseTransport], PeerIdentity | None] = peer_identity,
    ) -> None:
        self.dispatcher = dispatcher
        self.settings = settings
        self.turn = turn
        self.software = software
        self.configuration_hash = cluster.configuration_hash
        self.clients: set[ClientProtocol] = set()
        self._cluster = cluster
        self._principals = principals
        self._boot_id = boot_id
        self._identity_without_tls = identity_without_tls
        self._identify = identify
        self._prefixes = tuple(f"spiffe://{cluster.name}/{kind}/" for kind in ("client", "operator"))
        self._limited: dict[ClientProtocol, float] = {}
        """Connections that have to do something by that time: say HELLO, or end."""
        self._look_at = 0.0
        self._server: asyncio.Server | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    async def start(self, host: str, port: int, context: ssl.SSLContext | None) -> tuple[str, int]:
        """Listen; return the address that was bound.

        Raises:
            OSError: the address cannot be bound.
        """
        self._server = await asyncio.get_running_loop().create_server(
            lambda: ClientProtocol(self),
            host,
            port,
            ssl=context,
            ssl_handshake_timeout=self.settings.limits.handshake_s if context else None,
            ssl_shutdown_timeout=self.settings.limits.closing_s if context else None,
            backlog=BACKLOG,
        )
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    def stop_accepting(self) -> None:
        """Take no new connections."""
        if self._server is not None:
            self._server.close()

    def go_away(self, reason: str) -> None:
        """Say GOAWAY to every client."""
        self.dispatcher.leaving = True
        for protocol in list(self.clients):
            protocol.go_away(reason)

    async def emptied(self, timeout_s: float) -> bool:
        """Wait until no connection is left; False when the time is over first."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    def abort_all(self) -> None:
        """Drop every connection that is left."""
        for protocol in list(self.clients):
            protocol.abort()

    def tick(self, now: float) -> None:
        """End connections whose time is over."""
        for protocol in [protocol for protocol, until in self._limited.items() if until <= now]:
            del self._limited[protocol]
            if protocol.client is None:
                logs.event(_log, "info", "client closed", peer=protocol.peer, reason="no HELLO in time")
            protocol.abort()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._look(now)

    # ---- called by connections ------------------------------------------------------------------------------------

    def joined(self, protocol: ClientProtocol) -> bool:
        """Note a new connection; False when there are too many."""
        full = len(self.clients) >= self.settings.limits.clients
        self.clients.add(protocol)
        self._empty.clear()
        self._limited[protocol] = clock.monotonic() + self.settings.limits.hello_s
        if full:
            self.dispatcher.counters.clients_refused += 1
            logs.event(_log, "warning", "client refused", peer=protocol.peer, reason="too many connections")
        return not full

    def greeted(self, protocol: ClientProtocol) -> None:
        """Note that HELLO came."""
        self._limited.pop(protocol, None)

    def closing(self, protocol: ClientProtocol) -> None:
        """Give the connection its time to end."""
        self._limited[protocol] = clock.monotonic() + self.settings.limits.closing_s

    def left(self, protocol: ClientProtocol) -> None:
        """Forget a connection."""
        self.clients.discard(protocol)
        if not self.clients:
            self._empty.set()
        self._limited.pop(protocol, None)
        client = protocol.client
        if client is not None:
            self.dispatcher.client_lost(client, clock.monotonic())
            self._principals.leave(client.principal, self.dispatcher.table.links)

    def admit(self, transport: asyncio.BaseTransport, peer: str) -> Bound | None:
        """Return who is there by its certificate; None for whoever is not a client of this cluster."""
        if self._identity_without_tls is not None:
            found: PeerIdentity | None = None
            identity = self._identity_without_tls
        else:
            found = self._identify(transport)
            identity = found.identity if found is not None else ""
        principal = self._cluster.principal_of(identity) if identity.startswith(self._prefixes) else None
        if principal is None:
            self.dispatcher.counters.clients_refused += 1
            logs.event(_log, "warning", "client refused", peer=peer, identity=identity, reason="unknown identity")
            return None
        return self._principals.join(
            principal.identity,
            principal.partition,
            principal.roles,
            found.certificate_sha256 if found is not None else b"",
            found.not_after if found is not None else 0,
        )

    def release(self, principal: Bound) -> None:
        """Take back what `admit` gave."""
        self.dispatcher.counters.clients_refused += 1
        self._principals.leave(principal, self.dispatcher.table.links)

    def protocol_error(self, protocol: ClientProtocol, detail: str) -> None:
        """Count and log a frame that broke the rules."""
        self.dispatcher.counters.protocol_errors += 1
        logs.event(_log, "info", "client broke the protocol", peer=protocol.peer, reason=detail)

    def unread(self, protocol: ClientProtocol) -> None:
        """Count and log a client that does not read."""
        self.dispatcher.counters.clients_closed_unread += 1
        limits = self.settings.limits
        reason = (
            f"answers not read: more than {limits.client_unread_bytes} bytes (client_unread_bytes), "
            f"or for {limits.client_unread_s:g} s (client_unread_s)"
        )
        logs.event(_log, "warning", "client closed", peer=protocol.peer, reason=reason)

    def pong(self) -> Pong:
        """Return what this proxy says of itself."""
        dispatcher = self.dispatcher
        completed = sum(dispatcher.counters.answers.values())
        return proxy_pong(self._boot_id, dispatcher.waiting, self.settings.limits.client_in_flight, completed)

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _look(self, now: float) -> None:
        """Close clients that do not read; send away those that ask for nothing."""
        limits = self.settings.limits
        for protocol in list(self.clients):
            if protocol.unread_for(now) > limits.client_unread_s:
                self.unread(protocol)
                protocol.abort()
            elif protocol.client is not None and not protocol.client.in_flight and now - protocol.heard > limits.idle_s:
                self.dispatcher.counters.clients_closed_idle += 1
                protocol.go_away(f"nothing was asked for {limits.idle_s:g} s")
