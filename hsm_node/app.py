"""Starts and stops a node. Order matters: nothing is written before everything that can be wrong was looked at."""

import asyncio
import contextlib
import gc
import os
import socket
from pathlib import Path
from typing import Any, Final

from hsm_cluster.address import Address
from hsm_cluster.cluster import Cluster
from hsm_cluster.errors import ConfigurationError
from hsm_daemon import admin as admin_server
from hsm_daemon import clock, listening, logs
from hsm_daemon.admin import AdminAnswer, AdminServer, Routes
from hsm_daemon.errors import StartError
from hsm_daemon.lifecycle import Lifecycle
from hsm_daemon.tasks import spawn
from hsm_daemon.tls import Certificates, load_certificates
from hsm_node.admin_pages import admin_routes
from hsm_node.config import NodeConfig
from hsm_node.core.ledger import Ledger
from hsm_node.gauges import acceptor_gauges, keystore_gauges, keystore_labels
from hsm_node.keystore import Keystore
from hsm_node.master_key import load_keyring
from hsm_node.metrics import CONTENT_TYPE, Gauge, Labels, NodeMetrics, RequestCounts
from hsm_node.net.acceptor import LISTEN_BACKLOG, Acceptor
from hsm_node.reconfiguration import Reconfiguration, load
from hsm_node.state.recorder import open_recorder
from hsm_node.state.state_dir import StateDir
from hsm_node.store.base import Store
from hsm_node.store.sqlite import SqliteStore
from hsm_node.work.pool import SWEEP_INTERVAL_S
from hsm_wire.messages import Pong, encode_body

BOOT_ID_BYTES: Final = 16

_log = logs.logger("hsm_node")


async def run_node(config_file: Path, config: NodeConfig, cluster: Cluster, lifecycle: Lifecycle) -> None:
    """Serve until the first signal, then leave in order.

    Raises:
        StartError: it cannot start; nothing was written.
    """
    certificates = load_certificates(config.tls_files)
    keyring = load_keyring(config.keystore.master_key)
    if not config.admin.is_loopback and certificates is None:
        raise StartError(f"admin = {config.admin}: without TLS the admin pages are for loopback only; correct admin")
    state = StateDir(config.state_dir)
    state.check_present(config.store.path)
    first_start = state.seen is None
    with contextlib.ExitStack() as held:
        bound = held.enter_context(listening.bind(config.listen.host, config.listen.port, LISTEN_BACKLOG))
        admin = held.enter_context(admin_server.bind(config.admin.host, config.admin.port))
        store = held.enter_context(contextlib.closing(SqliteStore(config.store.path, cluster.name, keyring)))
        state.check(store.cluster_id, store.epoch)
        state.keep(store.cluster_id, store.epoch)
        ledger = Ledger(keyring.ledger_mac, store.cluster_id)
        recorder = held.enter_context(
            contextlib.closing(open_recorder(config.state_dir, ledger, first_start=first_start))
        )
        keystore = Keystore(config, cluster, keyring, store, recorder)
        gc.freeze()  # The records stay: to look at 100,000 of them again takes 0.2 s, and the loop stands still.
        node = Node(config, cluster, keystore, store, certificates, admin)
        lifecycle.on_reload(lambda: node.reload(config_file), expected=(StartError, ConfigurationError))
        await node.serve(bound, lifecycle)


class Node:
    """A running node: its sockets, its keystore, and what it says of itself."""

    def __init__(
        self,
        config: NodeConfig,
        cluster: Cluster,
        keystore: Keystore,
        store: Store,
        certificates: Certificates | None = None,
        admin: socket.socket | None = None,
    ) -> None:
        """Prepare; `admin` is a listener for the admin pages, closed at the end of `serve`."""
        self._config = config
        self._cluster = cluster
        self._certificates = certificates
        self._reload_successful = True
        self._keystore = keystore
        self._store = store
        self._boot_id = os.urandom(BOOT_ID_BYTES)
        self._requests = RequestCounts()
        self._ready = False
        self._acceptor = Acceptor(
            cluster.name,
            config.name,
            cluster.configuration_hash,
            keystore.service,
            config.limits,
            tls=config.tls_files is not None,
            answered=self._requests.answered,
            served=self._served,
            pong=self._pong,
        )
        self._metrics = NodeMetrics(self._requests, self._gauges(), self._labels)
        context = None if certificates is None or config.admin.is_loopback else certificates.server
        self._admin = AdminServer(config.admin.host, config.admin.port, self._routes(), context, sock=admin)

    async def serve(self, bound: socket.socket, lifecycle: Lifecycle) -> None:
        """Serve on a bound socket until the lifecycle says stop."""
        admin = self._admin
        sweeper = heart = None
        try:
            admin_host, admin_port = await admin.start()
            self._acceptor.start(bound, None if self._certificates is None else self._certificates.server)
            heart = spawn(self._beat(), "heartbeat")
            sweeper = spawn(self._sweep(), "sweep")
            host, port = bound.getsockname()[:2]
            address = str(Address(host, port))
            logs.event(
                _log,
                "info",
                "ready",
                name=self._config.name,
                address=address,
                admin=str(Address(admin_host, admin_port)),
                keys=self._keystore.table.live,
            )
            self._ready = True
            lifecycle.ready(f"{self._config.name} serves on {address}")
            await lifecycle.stopping.wait()
            self._ready = False
            await self._acceptor.stop(self._config.limits.shutdown_s)
        finally:
            self._ready = False
            for task in (sweeper, heart):
                if task is not None:
                    task.cancel()
            await admin.stop()
            self._keystore.close()

    def reload(self, config_file: Path) -> None:
        """Read the configuration anew and apply it; whatever is wrong with it, nothing changes.

        Raises:
            ConfigurationError: node.toml or cluster.toml is wrong.
            StartError: a certificate is.
        """
        self._reload_successful = False
        new = load(config_file, self._config, self._cluster)
        self._apply(new)
        self._reload_successful = True
        logs.event(_log, "info", "configuration loaded", hash=new.cluster.configuration_hash)
        if new.restart_for:
            what = "the old values stay until a restart"
            logs.event(_log, "warning", "settings need a restart", settings=", ".join(new.restart_for), what=what)

    def _apply(self, new: Reconfiguration) -> None:
        self._config, self._cluster = new.config, new.cluster
        self._acceptor.configuration_hash = new.cluster.configuration_hash
        self._keystore.nodes = [node.name for node in new.cluster.nodes]
        if new.certificates is not None:
            self._certificates = new.certificates
            self._acceptor.replace_context(new.certificates.server)
            self._admin.replace_context(new.certificates.server)

    async def _beat(self) -> None:
        while True:
            self._acceptor.beat()
            self._keystore.window.turned(clock.thread_s(), self._requests.total)
            await asyncio.sleep(self._acceptor.beat_every_s)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            self._keystore.sweep()

    def _routes(self) -> Routes:
        return admin_routes(lambda: AdminAnswer(200, CONTENT_TYPE, self._metrics.page()), self._status, self._is_ready)

    def _is_ready(self) -> bool:
        self._keystore.follower.follow()  # Nobody may have asked for a key since the store went or came back.
        return self._ready and self._keystore.follower.current

    def _served(self, requests: int, seconds: float) -> None:
        self._keystore.window.served(seconds / requests)

    def _pong(self) -> bytes:
        keystore = self._keystore
        keystore.follower.follow()
        return encode_body(
            Pong(
                boot_id=self._boot_id,
                queue_depth=keystore.sessions.waiting,
                sessions=self._config.sessions,
                window=keystore.window.advertised(self._acceptor.proxies),
                completed=self._requests.completed,
                generating=keystore.generation.running + keystore.generation.waiting,
                applied_revision=keystore.follower.applied_revision,
                cluster_id=self._store.cluster_id,
                epoch=self._store.epoch,
                store_contact="current" if keystore.follower.current else "stale",
                state=self._state(),
                administrative_state=self._administrative_state(),
                seen_digest=keystore.follower.ledger.digest,
                seen_revision=keystore.follower.ledger.revision,
                seen_writes=keystore.follower.ledger.writes,
            )
        )

    def _administrative_state(self) -> str:
        return self._keystore.administration.state_of(self._config.name)

    def _state(self) -> str:
        # A node of the DR site holds every key and serves nobody until it is promoted.
        if self._cluster.site(self._cluster.node(self._config.name).site).role == "disaster-recovery":
            return "standby"
        return "up" if self._keystore.follower.current else "stale"

    def _status(self) -> dict[str, Any]:
        keystore = self._keystore
        keystore.follower.follow()
        return {
            "name": self._config.name,
            "state": self._state(),
            "administrative_state": self._administrative_state(),
            "boot_id": self._boot_id.hex(),
            "completed": self._requests.completed,
            "queue_depth": keystore.sessions.waiting,
            "sessions": self._config.sessions,
            "window": keystore.window.advertised(self._acceptor.proxies),
            "applied_revision": keystore.follower.applied_revision,
            "keys": keystore.table.live,
        }

    def _labels(self) -> list[Labels]:
        configuration = {self._cluster.configuration_hash: 1.0}
        return [
            Labels("configuration", "The cluster configuration in use.", "hash", configuration),
            *keystore_labels(self._keystore, self._config.name),
        ]

    def _gauges(self) -> list[Gauge]:
        certificates = [
            Gauge(
                "certificate_not_after_seconds",
                "When this node's certificate expires, since 1970.",
                lambda: 0 if self._certificates is None else self._certificates.not_after,
            )
        ]
        return [
            *(certificates if self._certificates else []),
            Gauge(
                "configuration_last_reload_successful",
                "0 after a SIGHUP with a configuration that was refused.",
                lambda: int(self._reload_successful),
            ),
            *acceptor_gauges(self._acceptor),
            *keystore_gauges(self._keystore, self._config.sessions),
        ]
