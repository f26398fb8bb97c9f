"""The parent's process: it holds the sockets, has its crew serve on them, and speaks for all of them."""

import asyncio
import os
import socket
from collections.abc import Mapping
from typing import Any, Final

from hsm_cluster.errors import ConfigurationError
from hsm_daemon import clock, listening, logs
from hsm_daemon.admin import AdminServer
from hsm_daemon.errors import StartError
from hsm_daemon.tls import load_certificates
from proxy.config import ProxyConfig, worker_count
from proxy.net.listener import BACKLOG
from proxy.reconfiguration import load
from proxy.workers import messages
from proxy.workers.crew import Crew
from proxy.workers.pages import Pages

ENDING_S: Final = 5.0
"""Beyond `shutdown_s`, until workers that were told to leave are killed."""


class Parent:
    """One proxy with several workers. It needs a running loop."""

    def __init__(self, config: ProxyConfig, inherited: Mapping[str, socket.socket], *, succeeds: bool) -> None:
        """Start nothing yet; `succeeds`: a proxy serves on these sockets, and is to be relieved.

        Raises:
            StartError: a certificate is wrong.
        """
        file = config.file
        self.config = config
        self.address = str(file.listen)
        self.admin_address = str(file.admin)
        self.crew = Crew(worker_count(file), config.sources, succeeds=succeeds)
        self.tell = self.crew.journal.tell
        self._inherited = inherited
        self._began_at = clock.monotonic()
        self._certificates = load_certificates(config.tls)
        self._listener: socket.socket | None = None
        self._pages = Pages(file.name, self.crew, self._facts)
        tls = self._certificates.server if self._certificates and not file.admin.is_loopback else None
        admin = inherited.get("admin")
        self._admin = AdminServer(file.admin.host, file.admin.port, self._pages.routes(), tls=tls, sock=admin)

    async def start(self, stopping: asyncio.Event) -> None:
        """Take the sockets and start the workers; return when all of them serve, or it is stopping.

        Raises:
            StartError: an address cannot be used, or a worker refuses to start.
        """
        listen, crew = self.config.file.listen, self.crew
        self._listener = listening.take(self._inherited, "client", listen.host, listen.port, BACKLOG)
        self.address = listening.joined(*listening.address_of(self._listener))
        try:
            crew.start(self._listener)
            while not crew.is_up and not stopping.is_set():
                await crew.change(stopping)
                if crew.refused:
                    raise StartError(f"worker {crew.refused} could not start; its own line says why")
            # Now: in a hot restart the pages are those of the one that serves.
            self.admin_address = listening.joined(*await self._admin.start())
        except BaseException:
            await self.stop()
            raise
        crew.came_up()

    async def stop(self, *, superseded: bool = False) -> None:
        """Have the workers finish what is in flight and end.

        Args:
            superseded: a successor serves on the same addresses: whoever asks there is to reach that one.
        """
        if self._listener is not None:
            self._listener.close()
        if superseded:
            await self._admin.stop()
        await self.crew.stop(self.config.file.limits.shutdown_s + ENDING_S)
        await self._admin.stop()

    def listeners(self) -> dict[str, socket.socket]:
        """Return the listening sockets by name, for a successor."""
        named = {"client": self._listener, "admin": self._admin.listener}
        return {name: sock for name, sock in named.items() if sock is not None}

    def reload(self) -> None:
        """Read the configuration anew, check it and have all workers take it over; if it is wrong, nothing changes.

        Raises:
            ConfigurationError: proxy.toml or cluster.toml is wrong.
            StartError: a certificate is.
        """
        identity = self._certificates.identity if self._certificates else None
        try:
            new = load(self.config.path, self.config, identity)
        except (ConfigurationError, StartError):
            self.crew.tell_all(messages.Reload(None))
            raise
        if self.crew.leaving:
            raise StartError("this proxy is stopping")
        if new.certificates is not None:
            self._certificates = new.certificates
            self._admin.replace_context(new.certificates.server)
        self.config = new.config
        logs.reconfigure(new.config.file.log)
        self.crew.reload(new.config.sources)

    def status(self) -> str:
        """Return the line that `systemctl status` shows."""
        roster = self.crew.roster
        rotation = min((place.beat.rotation for place in roster.serving), default=0)
        return (
            f"listening on {self.address}; {len(roster.serving)} of {len(roster.places)} workers serve; "
            f"{rotation} of {len(self.config.cluster.nodes)} nodes in rotation"
        )

    def _facts(self) -> dict[str, Any]:
        """Return what `/status` has that no worker knows."""
        return {
            "uptime_ms": int((clock.monotonic() - self._began_at) * 1000),
            "address": self.address,
            "pid": os.getpid(),
        }
