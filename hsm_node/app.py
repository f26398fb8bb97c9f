"""Starts and stops a node. Order matters: nothing is written before everything that can be wrong was looked at."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hsm_cluster.address import Address
from hsm_cluster.cluster import Cluster
from hsm_cluster.errors import ConfigurationError
from hsm_daemon import admin as admin_server
from hsm_daemon import listening, logs
from hsm_daemon.admin import AdminAnswer, AdminServer, Routes
from hsm_daemon.errors import StartError
from hsm_daemon.lifecycle import Lifecycle
from hsm_daemon.metrics import CONTENT_TYPE
from hsm_daemon.rationed_page import RationedPage
from hsm_daemon.tasks import spawn
from hsm_daemon.tls import Certificates, load_certificates
from hsm_node.admin_pages import admin_routes
from hsm_node.backends.pkcs11.link import DeviceLink
from hsm_node.backends.pkcs11.settings import DeviceSettings, SoftwareSettings
from hsm_node.config import NodeConfig, maybe_warning
from hsm_node.core.keyring import Keyring
from hsm_node.core.unsealing import Unsealing
from hsm_node.gauges import acceptor_gauges, configuration_labels, shell_gauges, state_labels, unsealing_gauges
from hsm_node.key_device import device_backend, device_keyring, open_link
from hsm_node.keystore import Keystore
from hsm_node.master_key import load_keyring
from hsm_node.metrics import Gauge, Labels, NodeMetrics
from hsm_node.net.acceptor import LISTEN_BACKLOG, Acceptor
from hsm_node.net.answering import Answering
from hsm_node.net.local_acceptor import LocalAcceptor
from hsm_node.net.local_socket import local_socket
from hsm_node.net.slow_requests import SlowRequests
from hsm_node.open_phase import OpenPhase
from hsm_node.opening import open_keystore
from hsm_node.phase import Facts, Phase
from hsm_node.reconfiguration import Reconfiguration, load
from hsm_node.sealed_phase import SealedPhase
from hsm_node.service.local_service import LocalService
from hsm_node.state.state_dir import StateDir
from hsm_node.work.pool import SWEEP_INTERVAL_S
from hsm_wire.messages import encode_body

BOOT_ID_BYTES: Final = 16
OPENING_LIMIT_S: Final = 120.0
"""How long the loop may stand still while a node that was unsealed loads its keys, before the watchdog ends it: as long
as the unit gives a node to start (TimeoutStartSec=). A hundred thousand keys take seconds."""

_log = logs.logger("hsm_node")


async def run_node(config_file: Path, config: NodeConfig, cluster: Cluster, lifecycle: Lifecycle) -> None:
    """Serve until the first signal, then leave in order.

    Raises:
        StartError: it cannot start; nothing was written.
    """
    certificates = load_certificates(config.tls_files)
    store_certificates = load_certificates(config.store.tls_files)
    shares = config.keystore.master_key.shares
    settings = config.backend
    in_software = isinstance(settings, SoftwareSettings)
    keyring = load_keyring(config.keystore.master_key) if shares is None and in_software else None
    if not config.admin.is_loopback and certificates is None:
        raise StartError(f"admin = {config.admin}: without TLS the admin pages are for loopback only; correct admin")
    if warning := maybe_warning(config, cluster):
        logs.event(_log, "warning", "the store is this host's alone", what=warning)
    state = StateDir(config.state_dir)
    if config.store.path is not None:
        state.check_present(config.store.path)
    with contextlib.ExitStack() as held:
        bound = held.enter_context(listening.bind(config.listen.host, config.listen.port, LISTEN_BACKLOG))
        admin = held.enter_context(admin_server.bind(config.admin.host, config.admin.port))
        node = Node(config, cluster, certificates, admin, store_certificates=store_certificates)
        if isinstance(settings, DeviceSettings):
            link = held.enter_context(contextlib.closing(open_link(config, settings)))
            keyring = device_keyring(link)
            node.open(
                open_keystore(config, cluster, state, keyring, held, device_backend(link, keyring, settings)), link
            )
        elif keyring is not None:
            node.open(open_keystore(config, cluster, state, keyring, held))
        node.local = held.enter_context(local_socket(config.state_dir))
        if shares is not None:

            def unsealed(key: bytes) -> None:
                with lifecycle.patient(OPENING_LIMIT_S):
                    node.open(open_keystore(node.facts.config, node.facts.cluster, state, Keyring(key), held))

            node.seal(Unsealing(shares.keep_s), unsealed)
        lifecycle.on_reload(lambda: node.reload(config_file), expected=(StartError, ConfigurationError))
        await node.serve(bound, lifecycle)
    logs.event(_log, "info", "stopped")


class Node:
    """A running node: its sockets, and the phase it is in: sealed until `open` was called."""

    def __init__(
        self,
        config: NodeConfig,
        cluster: Cluster,
        certificates: Certificates | None = None,
        admin: socket.socket | None = None,
        local: socket.socket | None = None,
        *,
        store_certificates: Certificates | None = None,
    ) -> None:
        """Prepare.

        Args:
            config: of the node.
            cluster: it belongs to.
            certificates: None without TLS.
            admin: a listener for the admin pages, closed at the end of `serve`.
            local: one for the people on this host; None: there is none.
            store_certificates: what the store's members are shown; None: it has none.
        """
        self.facts = Facts(config, cluster, os.urandom(BOOT_ID_BYTES))
        self.local = local
        self._certificates = certificates
        self._store_certificates = store_certificates
        self._reload_successful = True
        self._phase: Phase = SealedPhase(self.facts)
        self._serving = False
        self._lifecycle: Lifecycle | None = None
        self._addresses = {"address": "", "admin": ""}
        self._epoch = 0
        self._acceptor = Acceptor(
            cluster.name,
            config.name,
            cluster.configuration_hash,
            self._phase.service,
            config.limits,
            tls=config.tls_files is not None,
            answered=self.facts.requests.answered,
            served=lambda requests, seconds: self._phase.served(requests, seconds),
            pong=self._pong,
        )
        self.facts.proxies = lambda: self._acceptor.proxies
        self._local_service = LocalService(config.name, lambda: self._phase.service)
        self._local = LocalAcceptor(
            cluster.name, config.name, self._local_service, answered=self.facts.requests.answered, pong=self._pong
        )
        self._slow = self._acceptor.slow = self._local.slow = SlowRequests(config.log)
        self._metrics = NodeMetrics(self.facts.requests, self._gauges(), self._labels)
        context = None if certificates is None or config.admin.is_loopback else certificates.server
        self._admin = AdminServer(config.admin.host, config.admin.port, self._routes(), context, sock=admin)

    def seal(self, unsealing: Unsealing, open_with: Callable[[bytes], None]) -> None:
        """Wait for shares; `open_with` opens the store with the key that they make, and calls `open`."""
        self._local_service.seal(unsealing, open_with)
        self._enter(SealedPhase(self.facts, unsealing))

    def open(self, keystore: Keystore, link: DeviceLink | None = None) -> None:
        """Serve these keys from now on; `link` is to the device that they are in, if it is one."""
        keystore.promotion.answering = Answering(lambda: self._certificates and self._certificates.client)
        self._enter(OpenPhase(self.facts, keystore, link))
        if self._serving:
            self._say_ready()

    async def serve(self, bound: socket.socket, lifecycle: Lifecycle) -> None:
        """Serve on a bound socket until the lifecycle says stop."""
        self._lifecycle = lifecycle
        tasks: list[asyncio.Task[None]] = []
        try:
            self._addresses["admin"] = str(Address(*await self._admin.start()))
            self._acceptor.start(bound, None if self._certificates is None else self._certificates.server)
            if self.local is not None:
                await self._local.start(self.local)
            tasks += [spawn(self._beat(), "heartbeat"), spawn(self._sweep(), "sweep")]
            self._addresses["address"] = str(Address(*bound.getsockname()[:2]))
            self._serving = True
            self._say_ready()
            await lifecycle.stopping.wait()
            self._serving = False
            await self._acceptor.stop(self.facts.config.limits.shutdown_s)
            self._local.stop()
            await asyncio.to_thread(self._phase.stopped)  # Only now: whoever reads it relies on it.
        finally:
            self._serving = False
            for task in tasks:
                task.cancel()
            self._local.stop()
            await self._admin.stop()
            self._phase.close()

    def reload(self, config_file: Path) -> None:
        """Read the configuration anew and apply it; whatever is wrong with it, nothing changes.

        Raises:
            ConfigurationError: node.toml or cluster.toml is wrong.
            StartError: a certificate is, or a master key.
        """
        self._reload_successful = False
        new = load(config_file, self.facts.config, self.facts.cluster)
        succession = self._phase.succession(new.config.keystore)
        self._phase.renew(new.config.store.endpoints)
        self._apply(new)
        restart_for = (*new.restart_for, *(() if succession is None else succession.apply()))
        self._reload_successful = True
        logs.event(_log, "info", "configuration loaded", hash=new.cluster.configuration_hash)
        if restart_for:
            what = "the old values stay until a restart"
            logs.event(_log, "warning", "settings need a restart", settings=", ".join(restart_for), what=what)

    def _apply(self, new: Reconfiguration) -> None:
        self.facts.config, self.facts.cluster = new.config, new.cluster
        logs.reconfigure(new.config.log)
        self._slow.use(new.config.log)
        self._acceptor.configuration_hash = new.cluster.configuration_hash
        self._phase.reconfigured()
        self._store_certificates = new.store_certificates
        if new.certificates is not None:
            self._certificates = new.certificates
            self._acceptor.replace_context(new.certificates.server)
            self._admin.replace_context(new.certificates.server)

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._acceptor.service = phase.service
        self._metrics.gauges = self._gauges()

    def _say_ready(self) -> None:
        name, phase = self.facts.config.name, self._phase
        fields = {"name": name, **self._addresses}
        if phase.sealed:
            what = "it waits for shares of the master key: `hsmctl unseal` on this host"
            logs.event(_log, "warning", "sealed", **fields, what=what)
            text = f"{name} is sealed: {what}"
        else:
            logs.event(_log, "info", "ready", **fields, keys=phase.keys)
            text = f"{name} serves on {self._addresses['address']}"
        if self._lifecycle is not None:
            self._lifecycle.ready(text)

    async def _beat(self) -> None:
        while True:
            self._acceptor.beat()
            self._follow_epoch()
            self._phase.beat()
            await asyncio.sleep(self._acceptor.beat_every_s)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            self._phase.sweep()

    def _routes(self) -> Routes:
        return admin_routes(
            RationedPage(lambda: AdminAnswer(200, CONTENT_TYPE, self._metrics.page())),
            lambda: {"name": self.facts.config.name, **self._phase.status()},
            self._is_ready,
        )

    def _is_ready(self) -> bool:
        return self._serving and self._phase.ready

    def _follow_epoch(self) -> None:
        """Have no link outlive an epoch: what proxies were told over it of the old one holds for all that it brings."""
        before, self._epoch = self._epoch, self._phase.epoch
        if before not in (0, self._epoch):
            self._acceptor.dismiss("the store has a new epoch")

    def _pong(self) -> bytes:
        self._follow_epoch()
        return encode_body(self._phase.pong())

    def _labels(self) -> list[Labels]:
        return [
            configuration_labels(self.facts.cluster.configuration_hash),
            state_labels(self._phase.status()["state"]),
            *self._phase.labels(),
        ]

    def _gauges(self) -> list[Gauge]:
        return [
            *shell_gauges(
                lambda: _validity(self._certificates),
                lambda: _validity(self._store_certificates),
                lambda: self._reload_successful,
                lambda: self._phase.sealed,
            ),
            *unsealing_gauges(self._local_service.unsealing),
            *acceptor_gauges(self._acceptor),
            *self._phase.gauges(),
        ]


def _validity(certificates: Certificates | None) -> tuple[int, int] | None:
    return None if certificates is None else (certificates.not_before, certificates.not_after)
