"""Starts the daemons of a plan, waits until all serve, restarts one on request, stops all."""

import contextlib
import datetime
import shlex
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from hsmctl.dev import readiness
from hsmctl.dev.daemon import Daemon, keep_orphans, own_command
from hsmctl.dev.etcd_program import get_etcd
from hsmctl.dev.folder import Folder
from hsmctl.dev.manifest import Entry, Manifest, StoreEntry
from hsmctl.dev.plan import Member, Plan, StoreMember
from hsmctl.failures import CommandError

POLL_INTERVAL_S: Final = 0.05
STOP_DEADLINE_S: Final = 8.0
"""All proxies together, then all nodes together; what still runs then is killed."""


class Supervisor:
    """Owns the processes. Used as a context manager: leaving it stops everything."""

    def __init__(self, plan: Plan, folder: Folder, program: str = "hsmctl") -> None:
        self._plan = plan
        self._folder = folder
        self._program = program
        """What the user types for `hsmctl`."""
        self._daemons = {
            store.name: Daemon(
                [str(get_etcd()), "--config-file", str(folder.store_config_of(store.name))], folder.log_of(store.name)
            )
            for store in plan.stores
        }
        self._daemons |= {
            member.name: Daemon(
                own_command(member.module, folder.config_of(member.name)), folder.log_of(member.name), plan.event_loop
            )
            for member in plan.members
        }
        self._told_to_stop = False  # No lock: the handler may come while the same thread is inside of one.
        self._where = shlex.quote(str(folder.path))
        self._seen_running: set[str] = set()

    def __enter__(self) -> "Supervisor":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._folder.take()
        keep_orphans()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self._folder.release()

    @property
    def stopping(self) -> bool:
        """Whether a signal came."""
        return self._told_to_stop

    def start(self) -> Manifest | None:
        """Write all files, start all daemons, wait until they serve, write dev.json; None if told to stop meanwhile."""
        self._folder.fill(self._plan, datetime.datetime.now(datetime.UTC))
        for daemon in self._daemons.values():
            daemon.start()
        if not self._wait_ready(readiness.READY_S):
            return None
        return self._publish()

    def run(self, note: Callable[[str], None]) -> None:
        """Serve requests to start a daemon again, until a signal comes; `note` gets what the user should know."""
        ours = True
        while self._goes_on():
            self._tell_of_deaths(note)
            if self._folder.ours():
                self._serve_requests(note)
            elif ours:
                ours = False
                gone = f"{self._folder.path} was removed, and its keys with it"
                _tell(note, f"{gone}; stop with Ctrl-C and start again for a new cluster")

    def stop(self) -> None:
        """Stop proxies first, so that no request meets a node that is leaving, and the store last; then kill what does
        not end."""
        for members in (self._plan.proxies, self._plan.nodes, self._plan.stores):
            deadline = time.monotonic() + STOP_DEADLINE_S
            for member in members:
                self._daemons[member.name].ask_to_stop()
            for member in members:
                self._daemons[member.name].wait_stopped(deadline - time.monotonic())

    def _goes_on(self) -> bool:
        """Let a moment pass; say whether no signal came."""
        time.sleep(POLL_INTERVAL_S)
        return not self._told_to_stop

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._told_to_stop = True

    def _wait_ready(self, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        waiting: list[Member | StoreMember] = [*self._plan.stores, *self._plan.members]
        while not self._told_to_stop:
            # Before each question: a stranger may answer on the port that a daemon ended for.
            self._check_that_all_run()
            if not waiting:
                return True
            if self._question(waiting[0])():
                del waiting[0]
                continue
            if time.monotonic() > deadline:
                name, admin = waiting[0].name, "" if isinstance(waiting[0], StoreMember) else waiting[0].admin
                said = self._daemons[name].reason()
                raise CommandError(readiness.not_ready(name, admin, within_s, said, self._folder.log_of(name)))
            time.sleep(POLL_INTERVAL_S)
        return False

    def _check_that_all_run(self) -> None:
        for name, daemon in self._daemons.items():
            if not daemon.running():
                raise CommandError(f"{name} ended at its start: {daemon.reason()} (log: {self._folder.log_of(name)})")
            self._seen_running.add(name)

    def _tell_of_deaths(self, note: Callable[[str], None]) -> None:
        for name, daemon in self._daemons.items():
            if daemon.running():
                self._seen_running.add(name)
            elif name in self._seen_running and self._adopted(name, daemon):
                self._publish()
            elif name in self._seen_running:
                self._seen_running.discard(name)
                start = f"{self._program} dev start {name} --dir {self._where}"
                _tell(note, f"{name} ended ({daemon.how_it_ended()}); `{start}` starts it again")

    def _adopted(self, name: str, daemon: Daemon) -> bool:
        """Whether the daemon handed over to a successor (a proxy's hot restart), which is ours from now on."""
        if not daemon.handed_over():
            return False
        member = next((member for member in self._plan.members if member.name == name), None)
        if member is None:
            return False  # The store's members hand over to nobody.
        pid = readiness.status(member.admin).get("pid")
        return isinstance(pid, int) and pid > 0 and pid != daemon.pid and daemon.adopt(pid)

    def _serve_requests(self, note: Callable[[str], None]) -> None:
        for name in self._folder.take_requests():
            daemon = self._daemons.get(name)
            if daemon is None or daemon.running():
                continue
            try:
                daemon.start()
                self._seen_running.add(name)
                self._publish()
            except OSError as error:
                _tell(note, f"{name} could not be started: {error}")

    def _question(self, member: Member | StoreMember) -> Callable[[], bool]:
        if isinstance(member, StoreMember):
            return lambda: readiness.store_ready(member.admin)
        if member.kind == "node":
            return lambda: readiness.node_ready(member.admin)
        admins = [node.admin for node in self._plan.nodes]
        # In a folder whose DR site was promoted its node is the only one that serves.
        return lambda: readiness.proxy_ready(member.admin, readiness.up(admins) or self._plan.active_nodes)

    def _publish(self) -> Manifest:
        manifest = Manifest(
            str(self._folder.client_config),
            [self._entry(member) for member in self._plan.proxies],
            [self._entry(member) for member in self._plan.nodes],
            [
                StoreEntry(store.name, store.site, self._daemons[store.name].pid, store.address)
                for store in self._plan.stores
            ],
        )
        manifest.write(self._folder.manifest)
        return manifest

    def _entry(self, member: Member) -> Entry:
        return Entry(member.name, member.site, self._daemons[member.name].pid, member.address, member.admin)


def _tell(note: Callable[[str], None], text: str) -> None:
    # Who closed our standard error gets no note, and keeps the cluster.
    with contextlib.suppress(OSError):
        note(text)
