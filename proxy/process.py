"""A proxy as a process: the listeners that it inherits, the signals that it obeys, and its successor.

SIGTERM, SIGINT   GOAWAY, finish what is in flight, end     SIGHUP   read the configuration anew
SIGUSR2           hot restart: a new process of the program that is on disk now takes over the listeners
"""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping
from typing import Final, Protocol

from hsm_cluster.address import Address
from hsm_cluster.errors import ConfigurationError
from hsm_daemon import handover, listening, logs
from hsm_daemon.errors import StartError
from hsm_daemon.lifecycle import Lifecycle
from hsm_daemon.tasks import spawn
from proxy.app import ProxyApp
from proxy.config import ProxyConfig, ProxyFile, worker_count
from proxy.workers.parent import Parent

SUCCESSOR_ROTATION_S: Final = 3.0
"""How long a successor in a hot restart looks for a node before it serves without one, as the old one would have."""
LISTENERS: Final = frozenset({"client", "admin"})
"""Names of the sockets that may be inherited."""
EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})
"""Hosts that are every address of this machine."""

_log = logs.logger("proxy")


async def run_proxy(config: ProxyConfig, lifecycle: Lifecycle) -> None:
    """Run a proxy until it is told to stop, or a successor serves."""
    succeeds = handover.VARIABLE in os.environ
    inherited = _for_us(handover.inherited())
    if succeeds:
        _compare_addresses(config.file, inherited)
    service: _Service = (
        _Alone(config, inherited, succeeds)
        if worker_count(config.file) == 1
        else Parent(config, inherited, succeeds=succeeds)
    )
    superseded = False

    async def hand_over() -> None:
        nonlocal superseded
        # It makes this process leave and returns in the same step, so `stop` knows.
        superseded = await handover.hand_over(lifecycle, service.listeners())

    def upgrade() -> None:
        spawn(hand_over(), "hot restart")

    lifecycle.on_reload(service.reload, expected=(StartError, ConfigurationError))
    await service.start(lifecycle.stopping)
    lifecycle.on_upgrade(upgrade)
    addresses = {"address": service.address, "admin": service.admin_address}
    service.tell(_log, "info", "ready", **addresses, name=config.file.name, nodes=len(config.cluster.nodes))
    lifecycle.ready(service.status)
    handover.ready()
    try:
        await lifecycle.stopping.wait()
    finally:
        await service.stop(superseded=superseded)
    logs.event(_log, "info", "stopped")


class _Service(Protocol):
    """What serves: one process, or a parent with its workers."""

    address: str
    admin_address: str

    async def start(self, stopping: asyncio.Event) -> None:
        """Return when it serves, or is stopping."""

    async def stop(self, *, superseded: bool = False) -> None:
        """Finish what is in flight and end."""

    def reload(self) -> None:
        """Read the configuration anew and apply it, or change nothing."""

    def listeners(self) -> dict[str, socket.socket]:
        """Return the listening sockets by name."""

    def tell(self, log: logging.Logger, level: str, text: str, **fields: object) -> None:
        """Write a line, and remember it as an event."""

    def status(self) -> str:
        """Return the line that `systemctl status` shows."""


class _Alone:
    """One process."""

    def __init__(self, config: ProxyConfig, inherited: Mapping[str, socket.socket], succeeds: bool) -> None:
        self._app = app = ProxyApp(config, inherited)
        self._rotation_s = SUCCESSOR_ROTATION_S if succeeds else 0.0
        self.address, self.admin_address = app.address, app.admin_address
        self.stop, self.reload, self.listeners, self.tell = app.stop, app.reload, app.listeners, app.journal.tell

    async def start(self, stopping: asyncio.Event) -> None:
        app = self._app
        await app.start(rotation_s=self._rotation_s, stopping=stopping)
        self.address, self.admin_address = app.address, app.admin_address

    def status(self) -> str:
        table = self._app.table
        return f"listening on {self.address}; {len(table.rotation)} of {len(table.nodes)} nodes in rotation"


def _compare_addresses(file: ProxyFile, inherited: Mapping[str, socket.socket]) -> None:
    """Log where this process serves on another address than the configured one, since what it inherited wins."""
    for setting, name, wanted in (("listen", "client", file.listen), ("admin", "admin", file.admin)):
        if name in inherited and not _fits(wanted, inherited[name]):
            logs.event(
                _log, "warning", "a changed address is not used before a full restart: stop and start", setting=setting,
                configured=str(wanted), inherited=listening.joined(*listening.address_of(inherited[name])),
            )  # fmt: skip


def _fits(wanted: Address, sock: socket.socket) -> bool:
    """Say whether a socket could have been bound to that address; port 0 is any."""
    host, port = listening.address_of(sock)
    if wanted.port not in (0, port):
        return False
    if {wanted.host, host} <= EVERYWHERE:
        return True
    try:
        return any(host == found[4][0] for found in socket.getaddrinfo(wanted.host, port, type=socket.SOCK_STREAM))
    except OSError:
        return False  # it would not start there


def _for_us(inherited: Mapping[str, socket.socket]) -> dict[str, socket.socket]:
    """Return the listeners that a proxy has a use for; close the others."""
    for name in inherited.keys() - LISTENERS:
        inherited[name].close()
        what = "name it client or admin (FileDescriptorName=)"
        logs.event(_log, "warning", "an inherited socket is not used", name=name, what=what)
    return {name: sock for name, sock in inherited.items() if name in LISTENERS}
