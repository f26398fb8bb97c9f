"""Starts and stops a node. Order matters: nothing is written before everything that can be wrong was looked at."""

import asyncio
import os
import socket
from typing import Any, Final

from hsm_cluster.address import Address
from hsm_cluster.cluster import Cluster
from hsm_daemon import listening, logs
from hsm_daemon.admin import AdminAnswer, AdminServer
from hsm_daemon.errors import StartError
from hsm_daemon.lifecycle import Lifecycle
from hsm_daemon.tasks import spawn
from hsm_daemon.tls import server_context
from hsm_node.admin_pages import admin_routes
from hsm_node.config import NodeConfig
from hsm_node.keystore import Keystore
from hsm_node.master_key import load_keyring
from hsm_node.metrics import CONTENT_TYPE, Gauge, NodeMetrics, RequestCounts
from hsm_node.net.acceptor import LISTEN_BACKLOG, Acceptor
from hsm_node.store.base import Store
from hsm_node.store.sqlite import SqliteStore
from hsm_node.work.pool import SWEEP_INTERVAL_S
from hsm_wire.messages import Pong, encode_body

DRAIN_LIMIT_S: Final = 30.0
"""How long SIGTERM waits for what is in flight."""
BOOT_ID_BYTES: Final = 16

_log = logs.logger("hsm_node")


async def run_node(config: NodeConfig, cluster: Cluster, lifecycle: Lifecycle) -> None:
    """Serve until the first signal, then leave in order.

    Raises:
        StartError: it cannot start; nothing was written.
    """
    files = config.tls_files
    context = None if files is None else server_context(files)
    keyring = load_keyring(config.keystore.master_key.file)
    if not config.admin.is_loopback and context is None:
        raise StartError(f"admin = {config.admin}: without TLS the admin pages are for loopback only; correct admin")
    bound = listening.bind(config.listen.host, config.listen.port, LISTEN_BACKLOG)
    try:
        store = SqliteStore(config.store.path, cluster.name, keyring)
    except BaseException:
        bound.close()
        raise
    try:
        node = Node(config, cluster, Keystore(config, cluster, keyring, store), store)
        await node.serve(bound, context, lifecycle)
    finally:
        bound.close()
        store.close()


class Node:
    """A running node: its sockets, its keystore, and what it says of itself."""

    def __init__(self, config: NodeConfig, cluster: Cluster, keystore: Keystore, store: Store) -> None:
        self._config = config
        self._keystore = keystore
        self._store = store
        self._boot_id = os.urandom(BOOT_ID_BYTES)
        self._requests = RequestCounts()
        self._ready = False
        # A node of the DR site holds every key and serves nobody until it is promoted.
        self._standby = cluster.site(cluster.node(config.name).site).role == "disaster-recovery"
        self._acceptor = Acceptor(
            cluster.name,
            config.name,
            cluster.configuration_hash,
            keystore.service,
            tls=config.tls_files is not None,
            answered=self._requests.answered,
            served=self._served,
            pong=self._pong,
        )
        self._metrics = NodeMetrics(self._requests, self._gauges(), cluster.configuration_hash)

    async def serve(self, bound: socket.socket, context: Any, lifecycle: Lifecycle) -> None:
        """Serve on a bound socket until the lifecycle says stop."""
        admin = self._admin_server(context)
        sweeper = heart = None
        try:
            admin_host, admin_port = await admin.start()
            self._acceptor.start(bound, context)
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
            await self._acceptor.stop(DRAIN_LIMIT_S)
        finally:
            self._ready = False
            for task in (sweeper, heart):
                if task is not None:
                    task.cancel()
            await admin.stop()
            self._keystore.close()

    async def _beat(self) -> None:
        while True:
            self._acceptor.beat()
            await asyncio.sleep(self._acceptor.beat_every_s)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            self._keystore.sweep()

    def _admin_server(self, context: Any) -> AdminServer:
        routes = admin_routes(
            lambda: AdminAnswer(200, CONTENT_TYPE, self._metrics.page()),
            self._status,
            lambda: self._ready and self._keystore.follower.current,
        )
        admin = self._config.admin
        return AdminServer(admin.host, admin.port, routes, None if admin.is_loopback else context)

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
                administrative_state=keystore.administration.state_of(self._config.name),
            )
        )

    def _state(self) -> str:
        if self._standby:
            return "standby"
        return "up" if self._keystore.follower.current else "stale"

    def _status(self) -> dict[str, Any]:
        keystore = self._keystore
        keystore.follower.follow()
        return {
            "name": self._config.name,
            "state": self._state(),
            "administrative_state": keystore.administration.state_of(self._config.name),
            "boot_id": self._boot_id.hex(),
            "completed": self._requests.completed,
            "queue_depth": keystore.sessions.waiting,
            "sessions": self._config.sessions,
            "window": keystore.window.advertised(self._acceptor.proxies),
            "applied_revision": keystore.follower.applied_revision,
            "keys": keystore.table.live,
        }

    def _gauges(self) -> list[Gauge]:
        k = self._keystore
        return [
            Gauge("keys", "Keys that are not destroyed.", lambda: k.table.live),
            Gauge("queue_depth", "Dear operations that wait for a session.", lambda: k.sessions.waiting),
            Gauge("sessions", "Threads for dear operations.", lambda: self._config.sessions),
            Gauge("sessions_busy", "Sessions at work.", lambda: k.sessions.running),
            Gauge(
                "key_generations",
                "Key generations at work or waiting.",
                lambda: k.generation.running + k.generation.waiting,
            ),
            Gauge("links", "Connections of proxies.", lambda: self._acceptor.proxies),
            Gauge("store_revision", "Revision of the store that is applied.", lambda: k.follower.applied_revision),
            Gauge("store_current", "1 while the store can be read.", lambda: int(k.follower.current)),
            Gauge("records_refused", "Records of the store that are not authentic.", lambda: len(k.follower.refused)),
            Gauge("stalls", "Times that the loop stood still.", lambda: self._acceptor.stalls, counts=True),
            Gauge("checks", "Deep checks answered.", lambda: k.checks.served, counts=True),
            Gauge("expired", "Requests whose time ran out in a queue.", lambda: k.expired, counts=True),
            Gauge("internal_errors", "Requests that failed inside.", lambda: k.failures.internal, counts=True),
            Gauge("store_errors", "Changes that the store did not take.", lambda: k.failures.store, counts=True),
        ]
