"""Accepts clients, says who they are, and bounds their number and their time."""

import asyncio
import socket
import ssl
from collections.abc import Callable

from hsm_cluster.cluster import Cluster
from hsm_daemon import clock, logs
from hsm_daemon.accepting import Acceptor, Neighbours
from hsm_daemon.log_limit import LimitedLog
from hsm_daemon.pace import Pace
from hsm_daemon.tls import PeerIdentity, peer_identity
from hsm_wire.messages import Pong
from proxy.core.principals import Bound, Principals
from proxy.core.requests.dispatcher import Dispatcher
from proxy.core.settings import Limits, Settings
from proxy.net.client_protocol import ClientProtocol
from proxy.net.departures import Departures
from proxy.net.housekeeping import Housekeeping
from proxy.net.write_gate import FlushTurn

_log = logs.logger("proxy.clients")
_refusals = LimitedLog(_log, 10)
"""Lines that anybody who can connect causes."""
BACKLOG = 1024
"""Connections that the system holds until they are accepted."""


def pace_of(limits: Limits) -> Pace:
    """Return how fast clients are taken."""
    return Pace(
        limits.handshakes_per_s,
        limits.handshakes_burst,
        limits.handshakes_at_once,
        limits.handshakes_sustained_per_s,
        limits.handshakes_crowd,
    )


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
        neighbours: Neighbours | None = None,
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
        self._neighbours = neighbours
        self._prefixes = tuple(f"spiffe://{cluster.name}/{kind}/" for kind in ("client", "operator"))
        self._limited: dict[ClientProtocol, float] = {}
        """Connections that have to do something by that time: say HELLO, or end."""
        self._departures = Departures()
        self._housekeeping = Housekeeping(settings, dispatcher.counters, self._departures)
        self._crowded = LimitedLog(_log, 1)  # apart: a crowd hides nothing else
        self._acceptor: Acceptor | None = None
        self.refused = 0
        """Connections that were closed unheard because there are `clients` of them."""
        self._empty = asyncio.Event()
        self._empty.set()

    def start(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        """Accept clients on a socket that listens; `stop_accepting` closes it."""
        limits = self.settings.limits
        self._acceptor = Acceptor(
            lambda: ClientProtocol(self),
            pace_of(limits),
            context=context,
            handshake_s=limits.handshake_s,
            closing_s=limits.closing_s,
            room=lambda: self.has_room,
            refused=self._refused,
            neighbours=self._neighbours,
        )
        self._acceptor.start(sock)

    @property
    def crowd(self) -> int:
        """Connections that there are, and that are to be."""
        return len(self.clients) + self.handshaking

    @property
    def has_room(self) -> bool:
        """Whether one more is taken."""
        return self.crowd < self.settings.limits.clients

    @property
    def handshaking(self) -> int:
        """Connections that were accepted and have not ended their handshake."""
        return 0 if self._acceptor is None else self._acceptor.handshaking

    @property
    def handshakes_failed(self) -> int:
        """Handshakes that ended without a connection."""
        return 0 if self._acceptor is None else self._acceptor.handshakes_failed

    def replace_context(self, context: ssl.SSLContext) -> None:
        """Use new certificates for new connections; without TLS from the start there is nothing to replace."""
        if self._acceptor is not None and self._acceptor.context is not None:
            self._acceptor.context = context

    @property
    def sock(self) -> socket.socket | None:
        """The listening socket, for a handover."""
        return None if self._acceptor is None else self._acceptor.listener

    def reconfigured(self, cluster: Cluster, identity_without_tls: str | None) -> int:
        """Use that cluster's grants; send away who has other ones now, and return how many these are.

        They come back under their new partition and roles, or are refused. Who may do less than before goes at once;
        the others are served until their turn comes.
        """
        self._cluster = cluster
        self.configuration_hash = cluster.configuration_hash
        self._identity_without_tls = identity_without_tls
        changed = [protocol for protocol in self.clients if not self._as_granted(protocol)]
        reason = "the configuration of this identity has changed; connect again"
        self._departures.add((protocol for protocol in changed if not self._has_less(protocol)), reason)
        for protocol in changed:
            if self._has_less(protocol):
                protocol.go_away(reason)
        return len(changed)

    def stop_accepting(self) -> None:
        """Take no new connections; handshakes go on, and are then refused with a reason."""
        if self._acceptor is not None:
            self._acceptor.stop(close=True)

    def go_away(self, reason: str) -> None:
        """Say GOAWAY to every client, to some of them now."""
        self.dispatcher.leaving = True
        self._departures.add(self.clients, reason)
        self._departures.beat()

    async def emptied(self, timeout_s: float) -> bool:
        """Wait until no connection is left, nor one to be; False when the time is over first."""
        try:
            async with asyncio.timeout(timeout_s):
                if self._acceptor is not None:
                    await self._acceptor.settled()
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    def abort_all(self) -> None:
        """Drop every connection that is left."""
        if self._acceptor is not None:
            self._acceptor.abort()
        for protocol in list(self.clients):
            protocol.abort()

    def tick(self, now: float) -> None:
        """End connections whose time is over."""
        self._departures.beat()
        for protocol in [protocol for protocol, until in self._limited.items() if until <= now]:
            del self._limited[protocol]
            if protocol.client is None:
                _refusals.event("info", "client closed", peer=protocol.peer, reason="no HELLO in time")
            protocol.abort()
        self._housekeeping.tick(self.clients, now)

    # ---- called by connections ------------------------------------------------------------------------------------

    def joined(self, protocol: ClientProtocol) -> bool:
        """Note a new connection; False when there are too many (SIGHUP may have lowered the limit meanwhile)."""
        full = len(self.clients) >= self.settings.limits.clients
        self.clients.add(protocol)
        self._empty.clear()
        self._limited[protocol] = clock.monotonic() + self.settings.limits.hello_s
        if full:
            self.dispatcher.counters.clients_refused += 1
            _refusals.event("warning", "client refused", peer=protocol.peer, reason="too many connections")
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
        self._departures.forget(protocol)
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
            _refusals.event("warning", "client refused", peer=peer, identity=identity, reason="unknown identity")
            return None
        return self._principals.join(
            principal.identity,
            principal.partition,
            principal.roles,
            found.certificate_sha256 if found is not None else b"",
            found.not_after if found is not None else 0,
        )

    def crowded(self, principal: Bound, peer: str) -> bool:
        """Say whether that identity has more connections than it may; if so, take back what `admit` gave."""
        limit = self.settings.limits.identity_clients
        if self._principals.users(principal.identity) <= limit:
            return False
        self.dispatcher.counters.clients_refused += 1
        self._principals.leave(principal, self.dispatcher.table.links)
        reason = f"its identity has its {limit} connections (identity_clients)"
        self._crowded.event("warning", "client refused", peer=peer, identity=principal.identity, reason=reason)
        return True

    def protocol_error(self, protocol: ClientProtocol, detail: str) -> None:
        """Count and log a frame that broke the rules."""
        self.dispatcher.counters.protocol_errors += 1
        identity = "" if protocol.client is None else protocol.client.principal.identity
        _refusals.event("info", "client broke the protocol", peer=protocol.peer, identity=identity, reason=detail)

    def unread(self, protocol: ClientProtocol) -> None:
        """Close a client that leaves more unread than it may."""
        limit = self.settings.limits.client_unread_bytes
        self._housekeeping.unread(protocol, f"more than {limit} bytes (client_unread_bytes)")

    def pong(self) -> Pong:
        """Return what this proxy says of itself: it has no sessions and no store."""
        completed = sum(self.dispatcher.counters.answers.values())
        return Pong(self._boot_id, self.dispatcher.waiting, 0, self.settings.limits.client_in_flight, completed)

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _has_less(self, protocol: ClientProtocol) -> bool:
        """Say whether a client is bound to something that the cluster does not grant it any more."""
        if protocol.client is None:
            return False
        bound = protocol.client.principal
        granted = self._cluster.principal_of(bound.identity)
        return granted is None or granted.partition != bound.partition or not granted.roles >= bound.roles

    def _as_granted(self, protocol: ClientProtocol) -> bool:
        """Say whether a client is bound to what the cluster grants it."""
        if protocol.client is None:
            return True  # it has not said HELLO, and will be looked up then
        bound = protocol.client.principal
        granted = self._cluster.principal_of(bound.identity)
        return (
            granted is not None
            and self._identity_without_tls in (None, bound.identity)
            and (granted.partition, granted.roles) == (bound.partition, bound.roles)
        )

    def _refused(self, reason: str) -> None:
        """Count and log a connection that was closed at once."""
        self.refused += 1
        self.dispatcher.counters.clients_refused += 1
        _refusals.event("warning", "client refused", reason=f"{reason}: {self.settings.limits.clients} (clients)")
