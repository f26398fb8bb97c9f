"""Keeps a connection to every path of every node: connects, checks, gives up, tries again."""

import asyncio
import os
import ssl
from collections.abc import Callable

from hsm_cluster.address import Address
from hsm_daemon import clock, logs
from hsm_daemon.tasks import spawn
from hsm_daemon.tls import PeerIdentity, peer_identity
from hsm_wire.messages import Pong
from proxy.core.balancer import Chance
from proxy.core.dispatcher import Dispatcher
from proxy.core.health import PathHealth, Step
from proxy.core.node_table import PathEntry
from proxy.core.settings import HealthSettings, Limits
from proxy.net.node_link import NodeLink
from proxy.net.write_gate import FlushTurn

_log = logs.logger("proxy.nodes")


def fault_words(error: OSError) -> str:
    """Return what went wrong in words. Reasons reach clients in STATUS: addresses and numbers stay in the log."""
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or 'the handshake broke'}"
    return os.strerror(error.errno) if error.errno else str(error)


class _Watched:
    """A path, its check, and its connection if there is one."""

    __slots__ = ("health", "link", "path")

    def __init__(self, path: PathEntry, health: PathHealth) -> None:
        self.path = path
        self.health = health
        self.link: NodeLink | None = None


class LinkKeeper:
    """What all connections to nodes share."""

    def __init__(
        self,
        *,
        cluster_name: str,
        configuration_hash: str,
        dispatcher: Dispatcher,
        limits: Limits,
        health: HealthSettings,
        chance: Chance,
        turn: FlushTurn,
        software: str,
        context: ssl.SSLContext | None,
        report: Callable[[], Pong],
        identify: Callable[[asyncio.BaseTransport], PeerIdentity | None] = peer_identity,
    ) -> None:
        self.dispatcher = dispatcher
        self.limits = limits
        self.turn = turn
        self.software = software
        self.configuration_hash = configuration_hash
        self.report = report
        self._cluster_name = cluster_name
        self._context = context
        self._identify = identify
        self._stopped = False
        now = clock.monotonic()
        self._watched = {
            path: _Watched(path, PathHealth(health, chance, now))
            for node in dispatcher.table.nodes
            for path in node.paths
        }

    def tick(self, now: float) -> None:
        """Do for every path what its check asks for now."""
        if self._stopped:
            return
        hurry = not self.dispatcher.table.rotation
        for watched in self._watched.values():
            step = watched.health.step(now, hurry=hurry)
            if step is Step.CONNECT:
                spawn(self._connect(watched), f"connect {watched.path.node.name} {watched.path.uplink}")
            elif step is Step.PING and watched.link is not None:
                watched.link.ping(watched.health.ping_id)
            elif step is Step.LOST and watched.link is not None:
                self._give_up(watched.link, "it does not answer its check", now)
        self.log_changes()

    def stop(self) -> None:
        """End all connections."""
        self._stopped = True
        for watched in self._watched.values():
            if watched.link is not None:
                watched.link.close()

    def log_changes(self) -> None:
        """Write a line for each change of a state, with its reason."""
        for change in self.dispatcher.table.take_changes():
            path = {"path": change.path} if change.path else {}
            level = "info" if change.after == "up" else "warning"
            event = "path changed" if change.path else "node changed"
            logs.event(
                _log,
                level,
                event,
                node=change.node,
                **path,
                before=change.before,
                after=change.after,
                reason=change.reason,
            )

    # ---- called by links ------------------------------------------------------------------------------------------

    def wrong_identity(self, transport: asyncio.BaseTransport, path: PathEntry) -> str | None:
        """Return what is wrong with a node's certificate, or None."""
        if self._context is None:
            return None
        expected = f"spiffe://{self._cluster_name}/node/{path.node.name}"
        found = self._identify(transport)
        if found is None or found.identity != expected:
            return f"its certificate is for {found.identity if found else 'nobody'}, not for {expected}"
        return None

    def link_opened(self, link: NodeLink, configuration_hash: str, now: float) -> None:
        """Note a greeted connection; it is checked before it is used."""
        watched = self._watched[link.path]
        watched.link = link
        watched.path.link = link.link
        watched.health.opened(now)
        if configuration_hash and configuration_hash != self.configuration_hash:
            reason = "its cluster.toml differs from this proxy's"
            logs.event(_log, "warning", "configuration differs", node=link.path.node.name, reason=reason)
        self.tick(now)

    def pong(self, link: NodeLink, ping_id: int, pong: Pong, now: float) -> None:
        """Take an answer to a check: what the node says of itself, and that it is there."""
        watched = self._watched[link.path]
        if link.link is None or watched.link is not link:
            return
        table = self.dispatcher.table
        table.report(link.link, pong, now)
        if watched.health.answered(ping_id, now, hurry=not table.rotation) and not link.leaving:
            table.path_up(link.link, now)
        self.log_changes()
        if self.dispatcher.waiting:
            self.dispatcher.pump(now)

    def leaving(self, link: NodeLink, now: float) -> None:
        """Send nothing new to a node that said GOAWAY; it answers what it has."""
        watched = self._watched[link.path]
        if watched.link is link:
            self.dispatcher.table.path_down(link.path, "the node is shutting down", now)
            self.log_changes()

    def link_lost(self, link: NodeLink, reason: str) -> None:
        """Note that a connection ended."""
        self._give_up(link, reason, clock.monotonic())

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _give_up(self, link: NodeLink, reason: str, now: float) -> None:
        """Take a connection out once; what was in flight moves, the path is tried again later."""
        watched = self._watched[link.path]
        if watched.link is not link:
            return  # never greeted (`_connect` handles that), or given up before
        watched.link = None
        watched.health.lost(now)
        link.abort(reason)
        if link.link is not None:
            self.dispatcher.link_lost(link.link, reason, now)
        self.log_changes()

    async def _connect(self, watched: _Watched) -> None:
        """Connect to a path until its WELCOME, once."""
        path = watched.path
        link: NodeLink | None = None
        try:
            async with asyncio.timeout(self.limits.connect_s):
                link = await self._open(path)
                await asyncio.shield(link.opened)
        except (OSError, TimeoutError, ssl.SSLError) as error:
            if link is not None:
                link.abort("it was too slow")
            timed_out = isinstance(error, TimeoutError) and not str(error)
            reason = f"no WELCOME within {self.limits.connect_s} s" if timed_out else fault_words(error)
            now = clock.monotonic()
            if watched.link is None:
                watched.health.lost(now)
                self._unreachable(path, f"cannot connect: {reason}", now)

    async def _open(self, path: PathEntry) -> NodeLink:
        address = Address.parse(path.address)
        _, link = await asyncio.get_running_loop().create_connection(
            lambda: NodeLink(self, path),
            address.host,
            address.port,
            ssl=self._context,
            ssl_handshake_timeout=self.limits.handshake_s if self._context else None,
            ssl_shutdown_timeout=self.limits.closing_s if self._context else None,
        )
        return link

    def _unreachable(self, path: PathEntry, reason: str, now: float) -> None:
        """Log why a path cannot be reached when the reason is a new one."""
        if path.reason != reason:
            where = {"node": path.node.name, "path": path.uplink, "address": path.address}
            logs.event(_log, "warning", "path unreachable", **where, reason=reason)
        self.dispatcher.table.path_down(path, reason, now)
        self.log_changes()
