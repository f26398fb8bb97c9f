"""Starts the daemons of a plan, waits until all serve, restarts one on request, stops all."""

import datetime
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from hsmctl.dev import readiness
from hsmctl.dev.daemon import Daemon
from hsmctl.dev.folder import Folder
from hsmctl.dev.manifest import Entry, Manifest
from hsmctl.dev.plan import SITE, Member, Plan
from hsmctl.failures import CommandError

READY_DEADLINE_S: Final = 30.0
"""Usually under 5 s; a loaded machine may take longer."""
POLL_INTERVAL_S: Final = 0.05
STOP_DEADLINE_S: Final = 10.0
"""All daemons together; what still runs then is killed."""


class Supervisor:
    """Owns the processes. Used as a context manager: leaving it stops everything."""

    def __init__(self, plan: Plan, folder: Folder) -> None:
        self._plan = plan
        self._folder = folder
        self._daemons = {
            member.name: Daemon(
                member.module, folder.config_of(member.name), folder.log_of(member.name), plan.event_loop
            )
            for member in plan.members
        }
        self._stop = threading.Event()

    def __enter__(self) -> "Supervisor":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._folder.take()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self._folder.release()

    @property
    def stopping(self) -> bool:
        """Whether a signal came."""
        return self._stop.is_set()

    def start(self) -> Manifest | None:
        """Write all files, start all daemons, wait until they serve, write dev.json; None if told to stop meanwhile."""
        self._folder.fill(self._plan, datetime.datetime.now(datetime.UTC))
        for daemon in self._daemons.values():
            daemon.start()
        deadline = time.monotonic() + READY_DEADLINE_S
        for member in self._plan.members:
            if not self._wait_ready(member, deadline):
                return None
        return self._publish()

    def run(self) -> None:
        """Serve requests to start a daemon again, until a signal comes."""
        while not self._stop.wait(POLL_INTERVAL_S):
            for request in list(self._folder.requests.iterdir()):
                request.unlink(missing_ok=True)
                daemon = self._daemons.get(request.name)
                if daemon is not None and not daemon.running():
                    daemon.start()
                    self._publish()

    def stop(self) -> None:
        """Stop proxies first, so that no request meets a node that is leaving; then kill what does not end."""
        deadline = time.monotonic() + STOP_DEADLINE_S
        for members in (self._plan.proxies, self._plan.nodes):
            for member in members:
                self._daemons[member.name].ask_to_stop()
            for member in members:
                self._daemons[member.name].wait_stopped(deadline - time.monotonic())

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def _wait_ready(self, member: Member, deadline: float) -> bool:
        daemon = self._daemons[member.name]
        question = self._question(member)
        while not self._stop.is_set():
            if question():
                return True
            log = self._folder.log_of(member.name)
            if not daemon.running():
                raise CommandError(f"{member.name} ended at its start: {daemon.reason()} (log: {log})")
            if time.monotonic() > deadline:
                raise CommandError(f"{member.name} was not ready after {READY_DEADLINE_S:.0f} s; see its log: {log}")
            self._stop.wait(POLL_INTERVAL_S)
        return False

    def _question(self, member: Member) -> Callable[[], bool]:
        if member.kind == "node":
            return lambda: readiness.node_ready(member.admin)
        return lambda: readiness.proxy_ready(member.admin, len(self._plan.nodes))

    def _publish(self) -> Manifest:
        manifest = Manifest(
            str(self._folder.client_config),
            [self._entry(member) for member in self._plan.proxies],
            [self._entry(member) for member in self._plan.nodes],
        )
        manifest.write(self._folder.manifest)
        return manifest

    def _entry(self, member: Member) -> Entry:
        return Entry(member.name, SITE, self._daemons[member.name].pid, member.address, member.admin)
