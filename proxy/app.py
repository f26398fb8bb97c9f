"""Puts the parts together, starts them in order and stops them in the other one."""

import asyncio
import os
import random
import socket
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from hsm_cluster.errors import ConfigurationError
from hsm_daemon import clock, listening, logs
from hsm_daemon.admin import AdminAnswer, AdminServer
from hsm_daemon.errors import StartError
from hsm_daemon.release import release
from hsm_daemon.tls import Certificates, load_certificates
from hsm_wire.frames import Frame
from hsm_wire.messages import StatusResult
from hsm_wire.operations import Role
from proxy.admin_pages import admin_routes, why_unready
from proxy.config import ProxyConfig, Sources
from proxy.core.checks.silence import links_of
from proxy.core.checks.supervisor import Supervisor
from proxy.core.counters import Counters
from proxy.core.division import part_of
from proxy.core.nodes.nearness import distances
from proxy.core.nodes.node_table import Node, NodeTable
from proxy.core.principals import Bound, Principals
from proxy.core.quota.compliance import shortfalls
from proxy.core.quota.quotas import Quotas
from proxy.core.quota.usage_exchange import UsageExchange
from proxy.core.reporting.sentences import RELOAD_FAILED
from proxy.core.requests.balancer import Balancer
from proxy.core.requests.dispatcher import Dispatcher
from proxy.epoch_file import EpochFile
from proxy.metrics import Figures, ProxyCollector, metrics_page
from proxy.net.journal import Journal
from proxy.net.link_keeper import LinkKeeper
from proxy.net.listener import BACKLOG, Listener
from proxy.net.notary import EcdsaNotary
from proxy.net.ticker import Ticker
from proxy.net.write_gate import FlushTurn
from proxy.observation import Observation
from proxy.partition_usage import partition_reports
from proxy.reconfiguration import Reconfiguration, load, merged, node_of, what_to_do
from proxy.request_log import RequestLog
from proxy.seat import Seat
from proxy.stall_log import StallLog
from proxy.status import Shell, StatusReporter

ROTATION_LOOK_S: Final = 0.02
QUOTAS_WAIT_S: Final = 2.0
"""How long a proxy whose partitions have quotas takes no clients, so that nodes can tell what was used: they do so as
soon as they are connected. Without them it serves nobody anyway."""
NOTHING: Final[Mapping[str, socket.socket]] = MappingProxyType({})

_log = logs.logger("proxy")


class ProxyApp:
    """One proxy. It needs a running loop."""

    def __init__(
        self, config: ProxyConfig, inherited: Mapping[str, socket.socket] = NOTHING, seat: Seat | None = None
    ) -> None:
        self.config = config
        self._seat = seat = seat or Seat()
        self._inherited = inherited
        file = config.file
        now = clock.monotonic()
        chance = random.Random()  # the balancer's draw is no secret
        cluster = config.cluster
        self._certificates = load_certificates(config.tls)
        self._reloaded_at = clock.now()
        self.settings = part_of(file.settings(), seat.portion)
        self.table = NodeTable(map(node_of, cluster.nodes), self.settings, now)
        software = f"hsm-proxy {release()}"
        balancer = Balancer(self.table, chance)
        self._place_nodes()
        self.quotas = Quotas(clock.now)
        self._configure_quotas(now)
        self.dispatcher = Dispatcher(
            self.table, balancer, self.settings, Counters(), now, self._status_answer, self.quotas
        )
        self.collector = ProxyCollector(self.dispatcher, self._figures)
        loop = asyncio.get_running_loop()
        turn = FlushTurn(loop)
        principals = Principals()
        certificates = self._certificates
        self.listener = self._make_listener(principals, turn, software)
        self.keeper = self._make_keeper(turn, software)
        self.journal = self.keeper.journal
        self._observation = Observation(self.dispatcher, now)
        self._observation.validity = _validity(certificates)
        self._reporter = self._make_reporter(software, now - seat.age_s)
        # Who this proxy is to the nodes: what its certificate says; without TLS what its name makes it.
        identity = certificates.identity if certificates else None
        own = principals.join(identity or f"spiffe://{cluster.name}/proxy/{file.name}", 0, [Role.CHECK])
        self.supervisor = Supervisor(self.dispatcher, self.settings, chance, self.keeper, EcdsaNotary(), own, now)
        self.keeper.supervisor = self.supervisor
        self._remember_epoch()
        self._usage = UsageExchange(self.table, self.quotas, own, self.dispatcher.notices)
        self.dispatcher.on_stray = self._usage.answered
        self._requests = RequestLog(self.dispatcher.request_notes, file.log)
        stalls = StallLog(self.supervisor, self.journal, now)
        steps = [self.keeper.tick, self._usage.tick, self.dispatcher.tick, self.listener.tick, self._requests.tick]
        self._ticker = Ticker(loop, *steps, self._observation.tick, stalls.tick)
        self.routes = self._make_routes()
        self._admin = self._make_admin() if seat.has_admin else None
        self.address = str(file.listen)
        self.admin_address = str(file.admin)

    def _make_listener(self, principals: Principals, turn: FlushTurn, software: str) -> Listener:
        config = self.config
        return Listener(
            cluster=config.cluster,
            dispatcher=self.dispatcher,
            principals=principals,
            settings=self.settings,
            turn=turn,
            software=software,
            boot_id=os.urandom(16),
            identity_without_tls=None if config.tls else config.file.tls_off_identity,
            neighbours=self._seat.neighbours(),
        )

    def _make_keeper(self, turn: FlushTurn, software: str) -> LinkKeeper:
        cluster = self.config.cluster
        return LinkKeeper(
            cluster_name=cluster.name,
            configuration_hash=cluster.configuration_hash,
            dispatcher=self.dispatcher,
            settings=self.settings,
            turn=turn,
            name=f"{software} {self.config.file.name}",
            context=self._certificates.client if self._certificates else None,
            report=self.listener.pong,
            journal=Journal(self.dispatcher, self._seat.events, self._seat.changed),
        )

    def _make_reporter(self, software: str, now: float) -> StatusReporter:
        file = self.config.file
        return StatusReporter(
            proxy=file.name,
            site=file.site,
            cluster=self.config.cluster.name,
            software=software,
            started=now,
            table=self.table,
            rates=self._observation.rates,
            events=self.journal.events,
            wall=clock.now,
            shell=self._shell,
            whole=self._seat.whole,
        )

    def _make_routes(self) -> Mapping[str, Callable[[], AdminAnswer]]:
        page = metrics_page(self.collector)
        return admin_routes(self.config.file.name, self.dispatcher, page.text, self._status)

    def _make_admin(self) -> AdminServer:
        address, certificates = self.config.file.admin, self._certificates
        tls = certificates.server if certificates and not address.is_loopback else None
        return AdminServer(address.host, address.port, self.routes, tls=tls, sock=self._inherited.get("admin"))

    def _remember_epoch(self) -> None:
        """Take the epoch that this host has seen before, and keep what is seen from now on."""
        folder = self.config.state_dir
        if folder is not None:
            kept = EpochFile(folder)
            self.supervisor.epochs.remember(kept.cluster_id, kept.epoch, kept.keep)

    async def start(self, *, rotation_s: float = 0.0, stopping: asyncio.Event | None = None) -> None:
        """Begin to look for nodes, wait so long for one in rotation (or until `stopping`), and take clients.

        Who is in rotation is also asked what partitions have used; where they have quotas, for QUOTAS_WAIT_S at least.

        Raises:
            StartError: an address is in use or cannot be bound.
        """
        listen = self.config.file.listen
        sock = listening.take(self._inherited, "client", listen.host, listen.port, BACKLOG)
        self._ticker.start()
        stopping = stopping or asyncio.Event()
        until = clock.monotonic() + max(rotation_s, QUOTAS_WAIT_S if self.quotas.gates else 0.0)
        # No client is heard before those in rotation have told what its partition has used.
        # ASYNC110: the core, which knows, has no events.
        while not (self._usage.complete or clock.monotonic() >= until or stopping.is_set()):  # noqa: ASYNC110
            await asyncio.sleep(ROTATION_LOOK_S)
        try:
            if self._admin is not None:
                self.admin_address = listening.joined(*await self._admin.start())
        except StartError:
            sock.close()
            self._ticker.stop()
            self.keeper.stop()
            raise
        self.listener.start(sock, self._certificates.server if self._certificates else None)
        self.address = listening.joined(*listening.address_of(sock))

    async def stop(self, *, superseded: bool = False) -> None:
        """Say GOAWAY, finish what is in flight within the limit, end.

        Args:
            superseded: a successor serves on the same addresses: whoever asks there is to reach that one.
        """
        listener = self.listener
        listener.stop_accepting()
        listener.go_away("this proxy is shutting down")
        if superseded and self._admin is not None:
            await self._admin.stop()
        if not await listener.emptied(self.settings.limits.shutdown_s):
            logs.event(_log, "warning", "clients dropped", count=len(listener.clients), reason="shutdown_s is over")
            listener.abort_all()
        self.keeper.stop()
        if self._admin is not None:
            await self._admin.stop()
        await asyncio.sleep(0)  # connections that were dropped hear of it before the beat stops
        self._ticker.stop()

    def reload(self, sources: Sources | None = None) -> None:
        """Read the configuration anew and apply it; whatever is wrong with it, nothing changes.

        Args:
            sources: what was read of the files already; None: they are read now.

        Raises:
            ConfigurationError: proxy.toml or cluster.toml is wrong.
            StartError: a certificate is.
        """
        observation = self._observation
        identity = self._certificates.identity if self._certificates else None
        try:
            new = load(self.config.path, self.config, identity, sources)
        except (ConfigurationError, StartError):
            self.note_failed_reload()
            raise
        if self.dispatcher.leaving:
            raise StartError("this proxy is stopping")
        self._apply(new, clock.monotonic())
        observation.reload_failed = False
        observation.validity = _validity(self._certificates)
        self._reloaded_at = clock.now()
        if new.restart_for:
            names, what = ", ".join(new.restart_for), what_to_do(new.restart_for)
            self.journal.tell(_log, "warning", "settings need a restart", settings=names, what=what)

    def note_failed_reload(self) -> None:
        """Say that a newer configuration has a fault; whoever read it writes the line."""
        self._observation.reload_failed = True
        self.journal.remember("error", RELOAD_FAILED)

    def report(self, now: float) -> StatusResult:
        """Return what STATUS tells an operator."""
        return self._reporter.result(now)

    def listeners(self) -> dict[str, socket.socket]:
        """Return the listening sockets by name, for a successor."""
        named = {"client": self.listener.sock, "admin": self._admin.listener if self._admin is not None else None}
        return {name: sock for name, sock in named.items() if sock is not None}

    def _apply(self, new: Reconfiguration, now: float) -> None:
        config = new.config
        file = config.file
        shared = self.settings
        part = part_of(file.settings(), self._seat.portion)
        shared.limits, shared.retry, shared.health, shared.ejection, shared.balancing = (
            part.limits, part.retry, part.health, part.ejection, part.balancing
        )  # fmt: skip
        if new.certificates is not None:
            self._certificates = new.certificates
            self.listener.replace_context(new.certificates.server)
            if self._admin is not None:
                self._admin.replace_context(new.certificates.server)
            self.keeper.context = new.certificates.client
        self.config = config
        logs.reconfigure(file.log)
        self._requests.use(file.log)
        self.keeper.configuration_hash = config.cluster.configuration_hash
        known = len(self.table.nodes)
        gone = self._replace_nodes(now)
        added = len(self.table.nodes) - known + len(gone)
        sent_away = self.listener.reconfigured(config.cluster, None if config.tls else file.tls_off_identity)
        self.journal.tell(
            _log, "info", "configuration loaded", hash=config.cluster.configuration_hash, nodes_added=added,
            nodes_removed=len(gone), clients_sent_away=sent_away,
        )  # fmt: skip

    def _place_nodes(self) -> None:
        """Note how far each node is, and what its site is for."""
        cluster = self.config.cluster
        far = distances(cluster.sites, self.config.file.site)
        for node in self.table.nodes:
            node.distance = far[node.site]
            node.recovers = node.site in cluster.recovery_sites

    def _replace_nodes(self, now: float) -> list[Node]:
        gone = self.table.replace(merged(self.table.nodes, self.config.cluster.nodes), now)
        for node in gone:
            for link in links_of(node):
                link.leaving = True  # its end is our wish: no request in flight there is to blame for it
        self.supervisor.reconfigured(gone, now)
        self._usage.reconfigured()
        self._place_nodes()
        self._configure_quotas(now)
        for node in self.table.nodes:
            self.table.judge(node, now, reason=node.reason)  # the order of its paths may be another one
        self.keeper.log_changes()
        return gone

    def _configure_quotas(self, now: float) -> None:
        cluster = self.config.cluster
        quotas = {partition.id: cluster.quota_of(partition) for partition in cluster.partitions}
        self.quotas.believe([node.name for node in cluster.nodes], quotas, cluster.usage_since_s, now)
        self.quotas.configure(quotas, now)

    def _figures(self) -> Figures:
        listener = self.listener
        return Figures(
            configuration_hash=self.config.cluster.configuration_hash,
            clients=len(listener.clients),
            handshaking=listener.handshaking,
            handshakes_failed=listener.handshakes_failed,
            connections_refused=listener.refused,
            stalls=self.supervisor.stalls,
            reload_successful=not self._observation.reload_failed,
            reloaded_at=self._reloaded_at,
            validity=_validity(self._certificates),
            roles={site.name: site.role for site in self.config.cluster.sites},
            partitions=[report for _, report in partition_reports(self.config.cluster, self.quotas)],
            shortfalls=len(self._shortfalls()),
            usage_refused=self.quotas.usage.claims.refused,
        )

    def _shortfalls(self) -> list[str]:
        cluster = self.config.cluster
        return shortfalls(cluster.package, cluster.sites, self.table)

    def _shell(self) -> Shell:
        clients, waiting = len(self.listener.clients), self.dispatcher.waiting
        cluster = self.config.cluster
        return Shell(
            clients,
            waiting,
            self._observation.problems,
            cluster.sites,
            cluster.package.name,
            tuple(self._shortfalls()),
            tuple(partition_reports(cluster, self.quotas)),
            cluster.durability,
        )

    def _status_answer(self, frame: Frame, now: float, who: Bound) -> bytes:
        return self._reporter.answer(frame, now, who)

    def _status(self) -> bytes:
        counters = self.dispatcher.counters
        requests, failovers = self._seat.totals(counters.requests, counters.failovers)
        return self._reporter.page(
            clock.monotonic(),
            ready=not why_unready(self.dispatcher),
            configuration_hash=self.config.cluster.configuration_hash,
            requests=requests,
            failovers=failovers,
            address=self.address,
            pid=os.getpid(),
        )


def _validity(certificates: Certificates | None) -> tuple[int, int] | None:
    return None if certificates is None else (certificates.not_before, certificates.not_after)
