"""Puts the parts together, starts them in order and stops them in the other one."""

import asyncio
import os
import random
import ssl
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version

from hsm_cluster.topology import Node as TopologyNode
from hsm_daemon import clock, logs
from hsm_daemon.admin import AdminAnswer, AdminServer
from hsm_daemon.errors import StartError
from hsm_daemon.lifecycle import Lifecycle
from hsm_daemon.tls import client_context, identity_of, server_context
from hsm_wire.frames import Frame
from hsm_wire.operations import Role
from proxy.config import ProxyConfig
from proxy.core.balancer import Balancer
from proxy.core.counters import Counters
from proxy.core.dispatcher import Dispatcher
from proxy.core.node_table import Node, NodeTable
from proxy.core.principals import Principals
from proxy.core.supervisor import Supervisor
from proxy.metrics import CONTENT_TYPE, ProxyCollector, exposition
from proxy.net.link_keeper import LinkKeeper
from proxy.net.listener import Listener
from proxy.net.notary import EcdsaNotary
from proxy.net.ticker import Ticker
from proxy.net.write_gate import FlushTurn
from proxy.status import StatusReporter

_log = logs.logger("proxy")


def software_name() -> str:
    """Return name and version, for greetings and metrics."""
    try:
        return f"hsm-proxy {version('redoubt')}"
    except PackageNotFoundError:
        return "hsm-proxy (not installed)"


def node_of(node: TopologyNode) -> Node:
    """Return a node of the cluster's topology as the core keeps it."""
    return Node(node.name, node.site, node.weight, [(path.uplink, str(path.address)) for path in node.paths])


def own_identity(config: ProxyConfig) -> str:
    """Return who this proxy is to the nodes: what its certificate says; without TLS what its name makes it."""
    if config.tls is not None:
        found = identity_of(ssl.PEM_cert_to_DER_cert(config.tls.certificate.read_text("ascii")))
        if found is not None:
            return found.identity
    return f"spiffe://{config.cluster.name}/proxy/{config.file.name}"


class ProxyApp:
    """One proxy. It needs a running loop."""

    def __init__(self, config: ProxyConfig) -> None:
        self.config = config
        file = config.file
        now = clock.monotonic()
        chance = random.Random()  # the balancer's draw is no secret
        cluster = config.cluster
        self.settings = file.settings()
        self.table = NodeTable(map(node_of, cluster.nodes), self.settings, now)
        software = software_name()
        self._reporter = StatusReporter(
            proxy=file.name, site=file.site, cluster=cluster.name, software=software, started=now, table=self.table
        )
        balancer = Balancer(self.table, chance)
        self.dispatcher = Dispatcher(self.table, balancer, self.settings, Counters(), now, self._status_answer)
        self._collector = ProxyCollector(self.dispatcher, software, cluster.configuration_hash)
        loop = asyncio.get_running_loop()
        turn = FlushTurn(loop)
        self._server_context = server_context(config.tls) if config.tls else None
        principals = Principals()
        self.listener = Listener(
            cluster=cluster,
            dispatcher=self.dispatcher,
            principals=principals,
            settings=self.settings,
            turn=turn,
            software=software,
            boot_id=os.urandom(16),
            identity_without_tls=None if config.tls else file.tls_off_identity,
        )
        self.keeper = LinkKeeper(
            cluster_name=cluster.name,
            configuration_hash=cluster.configuration_hash,
            dispatcher=self.dispatcher,
            settings=self.settings,
            turn=turn,
            name=f"{software} {file.name}",
            context=client_context(config.tls) if config.tls else None,
            report=self.listener.pong,
        )
        own = principals.join(own_identity(config), 0, [Role.CHECK])
        self.supervisor = Supervisor(self.dispatcher, self.settings, chance, self.keeper, EcdsaNotary(), own, now)
        self.keeper.supervisor = self.supervisor
        self._ticker = Ticker(loop, self.keeper.tick, self.dispatcher.tick, self.listener.tick)
        admin = config.file.admin
        self._admin = AdminServer(
            admin.host, admin.port, self._routes(), tls=None if admin.is_loopback else self._server_context
        )
        self.address = str(config.file.listen)
        self.admin_address = str(config.file.admin)

    async def start(self) -> None:
        """Listen, and begin to look for nodes.

        Raises:
            StartError: an address is in use or cannot be bound.
        """
        config = self.config
        try:
            host, port = await self.listener.start(
                config.file.listen.host, config.file.listen.port, self._server_context
            )
        except OSError as error:
            reason = f"cannot listen on {config.file.listen}: {error.strerror or error}"
            raise StartError(f"{reason}; choose another listen address in proxy.toml") from None
        self.address = _joined(host, port)
        try:
            admin_host, admin_port = await self._admin.start()
        except StartError:
            self.listener.stop_accepting()
            raise
        self.admin_address = _joined(admin_host, admin_port)
        self._ticker.start()

    async def stop(self) -> None:
        """Say GOAWAY, finish what is in flight within the limit, end."""
        listener = self.listener
        listener.stop_accepting()
        listener.go_away("this proxy is shutting down")
        if not await listener.emptied(self.settings.limits.shutdown_s):
            logs.event(_log, "warning", "clients dropped", count=len(listener.clients), reason="shutdown_s is over")
            listener.abort_all()
        self.keeper.stop()
        await self._admin.stop()
        await asyncio.sleep(0)  # connections that were dropped hear of it before the beat stops
        self._ticker.stop()

    @property
    def ready(self) -> bool:
        """A node is in rotation, and the proxy is not stopping."""
        return bool(self.table.rotation) and not self.dispatcher.leaving

    def _routes(self) -> Mapping[str, Callable[[], AdminAnswer]]:
        return {
            "/": self._front_page,
            "/metrics": self._metrics,
            "/livez": lambda: _text(200, "alive"),
            "/readyz": self._readyz,
            "/status": self._status,
        }

    def _metrics(self) -> AdminAnswer:
        self._collector.clients = len(self.listener.clients)
        return AdminAnswer(200, CONTENT_TYPE, exposition(self._collector))

    def _front_page(self) -> AdminAnswer:
        lines = [f"{self.config.file.name}: {len(self.table.rotation)} of {len(self.table.nodes)} nodes in rotation"]
        lines += [f"{node.name}: {node.operational}, {node.administrative} {node.reason}" for node in self.table.nodes]
        return _text(200, "\n".join([*lines, "Pages: /status /metrics /livez /readyz"]))

    def _readyz(self) -> AdminAnswer:
        if self.dispatcher.leaving:
            return _text(503, "not ready: this proxy is shutting down")
        if not self.table.rotation:
            return _text(503, "not ready: no node is in rotation; see /status for the reasons")
        return _text(200, "ready")

    def _status_answer(self, frame: Frame, now: float) -> bytes:
        self._reporter.clients = len(self.listener.clients)
        return self._reporter.answer(frame, now)

    def _status(self) -> AdminAnswer:
        self._reporter.clients = len(self.listener.clients)
        counters = self.dispatcher.counters
        page = self._reporter.page(
            clock.monotonic(),
            ready=self.ready,
            configuration_hash=self.config.cluster.configuration_hash,
            requests=counters.requests,
            failovers=counters.failovers,
            address=self.address,
        )
        return AdminAnswer(200, "application/json", page)


def _text(status: int, text: str) -> AdminAnswer:
    return AdminAnswer(status, "text/plain; charset=utf-8", f"{text}\n".encode())


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def run_proxy(config: ProxyConfig, lifecycle: Lifecycle) -> None:
    """Run a proxy until it is told to stop."""
    app = ProxyApp(config)
    await app.start()
    nodes = len(app.table.nodes)
    logs.event(_log, "info", "ready", address=app.address, admin=app.admin_address, name=config.file.name, nodes=nodes)
    lifecycle.ready(f"listening on {app.address}")
    try:
        await lifecycle.stopping.wait()
    finally:
        await app.stop()
    logs.event(_log, "info", "stopped")
