"""Does for the supervisor what it decides: opens connections to nodes, and tells it what became of them."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable

from hsm_cluster.address import Address
from hsm_daemon import clock, logs, tls_opening
from hsm_daemon.log_limit import LimitedLog
from hsm_daemon.tasks import spawn
from hsm_daemon.tls import PeerIdentity, TlsLimits, peer_identity
from hsm_wire.messages import Pong
from proxy.core.checks.supervisor import Supervisor
from proxy.core.nodes.node_table import NOT_TRIED, PathEntry
from proxy.core.parties import Link
from proxy.core.requests.dispatcher import Dispatcher
from proxy.core.settings import Settings
from proxy.net.journal import Journal
from proxy.net.node_link import NodeLink
from proxy.net.write_gate import FlushTurn

_log = logs.logger("proxy.nodes")
_unexpected = LimitedLog(_log, 1 / 60)
"""It is tried again every two seconds."""


def fault_words(error: OSError) -> str:
    """Return what went wrong in words. Reasons reach clients in STATUS: addresses and numbers stay in the log."""
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {getattr(error, 'reason', None) or 'the handshake broke'}"
    if isinstance(error, socket.gaierror):
        return error.strerror or "its host name cannot be resolved"
    if error.errno:
        return os.strerror(error.errno)
    # Several addresses, none of which answered: the loop's text lists them.
    return "no address of its host can be reached" if type(error) is OSError else str(error)


class LinkKeeper:
    """What all connections to nodes share. Implements `Hands`."""

    def __init__(
        self,
        *,
        cluster_name: str,
        configuration_hash: str,
        dispatcher: Dispatcher,
        settings: Settings,
        turn: FlushTurn,
        name: str,
        context: ssl.SSLContext | None,
        report: Callable[[], Pong],
        journal: Journal | None = None,
        identify: Callable[[asyncio.BaseTransport], PeerIdentity | None] = peer_identity,
    ) -> None:
        self.dispatcher = dispatcher
        self.journal = journal or Journal(dispatcher)
        self.settings = settings
        self.turn = turn
        self.name = name
        """What HELLO says: software and version, and this proxy's name."""
        self.configuration_hash = configuration_hash
        self.context = context
        """For new connections; replaced when certificates are."""
        self.report = report
        self.supervisor: Supervisor | None = None
        """Set before the first `tick`."""
        self._cluster_name = cluster_name
        self._identify = identify
        self._links: set[NodeLink] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._bulk_reasons: dict[tuple[str, str], str] = {}
        """Why there is no bulk connection, by node and uplink: each reason is logged once."""
        self._stopped = False

    def tick(self, now: float) -> None:
        """Let the supervisor look at everything; write down what changed."""
        if not self._stopped and self.supervisor is not None:
            self.supervisor.tick(now)
            self.log_changes()

    def stop(self) -> None:
        """End all connections."""
        self._stopped = True
        for task in list(self._connecting):
            task.cancel()
        for link in list(self._links):
            link.close()

    def log_changes(self) -> None:
        """Have each change of a state told, with its reason, and what else the core noticed."""
        self.journal.take_changes()

    # ---- Hands ----------------------------------------------------------------------------------------------------

    def connect(self, path: PathEntry, *, bulk: bool) -> None:
        """Open a connection over that path."""
        kind = " bulk" if bulk else ""
        task = spawn(self._connect(path, bulk=bulk), f"connect {path.node.name} {path.uplink}{kind}")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    # ---- called by links ------------------------------------------------------------------------------------------

    def wrong_identity(self, transport: asyncio.BaseTransport, path: PathEntry) -> str | None:
        """Return what is wrong with a node's certificate, or None."""
        if self.context is None:
            return None
        expected = f"spiffe://{self._cluster_name}/node/{path.node.name}"
        found = self._identify(transport)
        if found is None or found.identity != expected:
            return f"its certificate is for {found.identity if found else 'nobody'}, not for {expected}"
        return None

    def greeted(self, connection: NodeLink, link: Link, configuration_hash: str, now: float) -> None:
        """Take over a connection whose WELCOME came."""
        self._links.add(connection)
        if link.bulk:
            self._bulk_reasons.pop((link.node.name, link.path.uplink), None)
        if configuration_hash and configuration_hash != self.configuration_hash and not link.bulk:
            reason = "its cluster.toml differs from this proxy's"
            self.journal.tell(_log, "warning", "configuration differs", node=link.node.name, reason=reason)
        if self.supervisor is not None:
            self.supervisor.opened(link, now)
        self.log_changes()

    def pong(self, link: Link, ping_id: int, pong: Pong, now: float) -> None:
        """Take an answer to PING."""
        if self.supervisor is not None:
            self.supervisor.pong(link, ping_id, pong, now)
        self.log_changes()

    def going_away(self, link: Link, reason: str, now: float) -> None:
        """Take a node's GOAWAY."""
        if self.supervisor is not None:
            self.supervisor.going_away(link, now, reason)
        self.log_changes()

    def ended(self, connection: NodeLink, reason: str) -> None:
        """Take the end of a connection; one that was never greeted is told by `_connect`."""
        self._links.discard(connection)
        if connection.link is not None and self.supervisor is not None:
            self.supervisor.link_lost(connection.link, reason, clock.monotonic())
            self.log_changes()

    # ---- inside ---------------------------------------------------------------------------------------------------

    async def _connect(self, path: PathEntry, *, bulk: bool) -> None:
        """Connect to a path until its WELCOME, once."""
        connection: NodeLink | None = None
        try:
            async with asyncio.timeout(self.settings.limits.connect_s):
                connection = await self._open(path, bulk=bulk)
                await asyncio.shield(connection.opened)
        except asyncio.CancelledError:
            if connection is not None:
                connection.abort("this proxy stops")
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the path must be tried again
            if connection is not None:
                connection.abort("it was too slow")
                if connection.link is not None:
                    return  # greeted, and ended since: that was told
            reason = self._why(error, path)
            self._unreachable(path, f"cannot connect: {reason}", clock.monotonic(), bulk=bulk)

    def _why(self, error: Exception, path: PathEntry) -> str:
        """Return the reason in words; what nobody thought of goes to the log as it is."""
        if isinstance(error, TimeoutError) and not str(error):
            return f"no answer within {self.settings.limits.connect_s:g} s"
        if isinstance(error, OSError):
            return fault_words(error)
        _unexpected.exception("connecting failed", error, node=path.node.name)
        return f"its address cannot be used ({type(error).__name__})"

    async def _open(self, path: PathEntry, *, bulk: bool) -> NodeLink:
        address = Address.parse(path.address)
        limits = self.settings.limits
        link = NodeLink(self, path, bulk=bulk)
        if self.context is None:
            await asyncio.get_running_loop().create_connection(lambda: link, address.host, address.port)
        else:
            times = TlsLimits(limits.handshake_s, limits.closing_s)
            await tls_opening.connect(link, address.host, address.port, self.context, times)
        return link

    def _unreachable(self, path: PathEntry, reason: str, now: float, *, bulk: bool) -> None:
        """Log why a path cannot be reached when the reason is a new one; tell the supervisor."""
        where = {"node": path.node.name, "path": path.uplink, "address": path.address}
        if bulk and path.up:
            known = (path.node.name, path.uplink)
            if self._bulk_reasons.get(known) != reason:
                self._bulk_reasons[known] = reason
                what = "large requests share the ordinary connection until it can be opened"
                self.journal.tell(_log, "warning", "no bulk connection", **where, reason=reason, what=what)
        elif path.reason == NOT_TRIED:
            self.journal.tell(_log, "warning", "path unreachable", **where, reason=reason)
        elif path.reason != reason:  # that it is down is known already: one reason more is for the log
            logs.event(_log, "warning", "path unreachable", **where, reason=reason)
        if self.supervisor is not None:
            self.supervisor.not_opened(path, reason, now, bulk=bulk)
        self.log_changes()
