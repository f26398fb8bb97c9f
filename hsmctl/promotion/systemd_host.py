"""A host whose daemons are systemd's, as docs/systemd.md installs them."""

import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hsmctl.failures import USAGE, CommandError
from hsmctl.promotion.host import LocalStore, StoreTls
from hsmctl.promotion.member_file import read_member_file

FOLDER: Final = Path("/etc/redoubt")
MEMBER_UNIT: Final = "redoubt-etcd.service"
STEP_S: Final = 120.0
"""For one unit to stop or to start: as long as the node's unit gives it to load its keys."""


class SystemdHost:
    """Implements `Host`."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Find the nodes of this host: the files in that folder that are a node's.

        Raises:
            CommandError: there is none, or one cannot be read.
        """
        self._folder = folder
        found = [(path, said) for path in sorted(folder.glob("*.toml")) if (said := _node_file(path))]
        self._nodes = {str(said["name"]): said for _, said in found}
        self._files = {str(said["name"]): path for path, said in found}
        if not self._nodes:
            raise CommandError(
                f"no file of a node is in {folder}; run this on the host of one, as root, or name the folder of "
                "`hsmctl dev` by --dir",
                USAGE,
            )

    @property
    def sockets(self) -> list[Path]:
        return [self._folder / str(said["state_dir"]) / "admin.sock" for said in self._nodes.values()]

    @property
    def node_files(self) -> list[Path]:
        return [self._files[name] for name in self._nodes]

    @property
    def store(self) -> LocalStore | None:
        said = next(iter(self._nodes.values()))["store"]
        endpoints, tls = said.get("endpoints") or [], said.get("tls")
        if not endpoints:
            return None
        files = None
        if isinstance(tls, dict):
            files = StoreTls(*(self._folder / str(tls[name]) for name in ("ca", "certificate", "key")))
        return LocalStore(str(said.get("dr_endpoint") or self._own(list(map(str, endpoints)))), files)

    @property
    def member_file(self) -> Path:
        return self._folder / "etcd.yaml"

    @property
    def recovery(self) -> str:
        return str(next(iter(self._nodes.values()))["store"].get("dr_endpoint") or "")

    def _own(self, endpoints: list[str]) -> str:
        """Return which of them is this host's member: that it is the first one is usual, and no rule."""
        if len(endpoints) == 1:
            return endpoints[0]
        said = read_member_file(self.member_file).client_urls
        own = [urlsplit(url.strip()).netloc for url in said.split(",")]
        found = next((endpoint for endpoint in endpoints if endpoint in own), None)
        if found is None:
            raise CommandError(
                f"{self.member_file}: its advertise-client-urls are none of the nodes' [store] endpoints; set "
                "dr_endpoint in the nodes' files, or correct one of both",
                USAGE,
            )
        return found

    def program(self, name: str) -> Path:
        found = shutil.which(name)
        if found is None:
            package = "etcd-server" if name == "etcd" else "etcd-client"
            raise CommandError(f"{name} is not on PATH; install it (Debian: {package}), of the member's version")
        return Path(found)

    def stop_member(self) -> None:
        _systemctl("stop", MEMBER_UNIT)

    def start_member(self) -> None:
        _systemctl("start", MEMBER_UNIT)

    def stop_nodes(self) -> None:
        _systemctl("stop", *self._units)

    def start_nodes(self) -> None:
        _systemctl("start", *self._units)

    def restart_nodes(self) -> None:
        _systemctl("restart", *self._units)

    @property
    def _units(self) -> list[str]:
        return [f"hsm-node@{name}.service" for name in self._nodes]


def _node_file(path: Path) -> dict[str, Any] | None:
    """Return what a node's file says; None: it is another one's."""
    try:
        said = tomllib.loads(path.read_text())
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}; run this as root", USAGE) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None  # A node with it does not run either.
    return said if {"name", "state_dir", "store"} <= said.keys() else None


def _systemctl(what: str, *units: str) -> None:
    program = shutil.which("systemctl")
    if program is None:
        raise CommandError("systemctl is not here; follow docs/disaster-recovery.md by hand")
    command, shown = [program, what, *units], f"`systemctl {what} {' '.join(units)}`"
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=STEP_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"{shown} took longer than {STEP_S:g} s; see `journalctl -u {units[0]}`") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        why = said[0] if said else f"exit code {done.returncode}"
        raise CommandError(f"{shown} failed ({why}); see `journalctl -u {units[0]}`")
