"""A site of a running `hsmctl dev`: its daemons are children of that, which starts them again."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

from hsmctl.dev.data_centres import SITES
from hsmctl.dev.etcd_program import get_etcd
from hsmctl.dev.folder import Folder
from hsmctl.dev.manifest import AnyEntry
from hsmctl.dev.restart import alive, restart, running_manifest
from hsmctl.failures import USAGE, CommandError
from hsmctl.promotion.host import LocalStore, StoreTls

STOP_S: Final = 5.0
"""For a daemon to end in order; then it is killed: of a node that serves nobody nothing is lost with that."""
KILLED_S: Final = 5.0
"""For the system to end what was killed: a disk that hangs can keep it for good."""
POLL_S: Final = 0.02


class DevHost:
    """Implements `Host`."""

    def __init__(self, folder: Folder, site: str | None = None) -> None:
        """Look into the folder; `site`: whose host it is, None: the DR site's.

        Raises:
            CommandError: no `hsmctl dev` runs there, or it has no such site.
        """
        self._folder = folder
        manifest = running_manifest(folder)
        standby = {site.name for site in SITES if site.is_standby}
        there = [node for node in manifest.nodes if node.site in ({site} if site else standby)]
        if site and not there:
            known = ", ".join(sorted({node.site for node in manifest.nodes}))
            raise CommandError(f"there is no site {site!r} here; there are {known}", USAGE)
        self._nodes = [node.name for node in there or manifest.nodes]  # Without a DR site the first one says so.
        members = {member.site: member for member in manifest.store}
        self._member = members.get(site) if site else next((members[name] for name in standby & members.keys()), None)
        self._recovery = next((members[name].address for name in standby & members.keys()), "")

    @property
    def sockets(self) -> list[Path]:
        return [self._folder.path / "state" / name / "admin.sock" for name in self._nodes]

    @property
    def node_files(self) -> list[Path]:
        return [self._folder.path / f"{name}.toml" for name in self._nodes]

    @property
    def store(self) -> LocalStore | None:
        if self._member is None:
            return None
        files = (self._folder.path / name for name in ("store-ca.pem", f"{self._node}.pem", f"{self._node}-key.pem"))
        return LocalStore(self._member.address, StoreTls(*files))

    @property
    def member_file(self) -> Path:
        return self._folder.store_config_of(self._name)

    def program(self, name: str) -> Path:
        path = get_etcd().with_name(name)
        if not path.exists():
            raise CommandError(f"{name} is not beside {get_etcd()}; install etcd's client programs of that version")
        return path

    def stop_member(self) -> None:
        self._stop(self._name)

    def start_member(self) -> None:
        if not alive(self._entry(self._name), running_manifest(self._folder)):
            restart(self._folder, self._name)

    @property
    def recovery(self) -> str:
        return self._recovery

    def stop_nodes(self) -> None:
        for name in self._nodes:
            self._stop(name)

    def start_nodes(self) -> None:
        for name in self._nodes:
            if not alive(self._entry(name), running_manifest(self._folder)):
                restart(self._folder, name)

    def restart_nodes(self) -> None:
        self.stop_nodes()
        self.start_nodes()

    @property
    def _name(self) -> str:
        if self._member is None:
            raise CommandError("this cluster has no members of a store")
        return self._member.name

    @property
    def _node(self) -> str:
        return f"{self._nodes[0]}-store"

    def _stop(self, name: str) -> None:
        entry = self._entry(name)
        self._signal(entry, signal.SIGTERM)
        if self._ends(entry, STOP_S):
            return
        self._signal(entry, signal.SIGKILL)
        if not self._ends(entry, KILLED_S):
            raise CommandError(
                f"{name} was killed and did not end within {KILLED_S:g} s; see what process {entry.pid} hangs at, "
                "then run the command again"
            )

    def _ends(self, entry: AnyEntry, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while alive(entry, running_manifest(self._folder)):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def _signal(self, entry: AnyEntry, number: signal.Signals) -> None:
        if alive(entry, running_manifest(self._folder)):  # Else the number may be another process's by now.
            with contextlib.suppress(ProcessLookupError):
                os.kill(entry.pid, number)

    def _entry(self, name: str) -> AnyEntry:
        entry = running_manifest(self._folder).maybe_member(name)
        if entry is None:
            raise CommandError(f"{name} is gone from {self._folder.manifest}; is another `hsmctl dev` in that folder?")
        return entry
