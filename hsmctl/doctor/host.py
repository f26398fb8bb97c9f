"""A daemon's host: its configuration as the daemon itself checks it, rights of its files, its ports."""

import contextlib
import datetime
import json
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import msgspec

from hsm_client.config import ProxyAddress, TlsFiles, parse_address
from hsm_client.errors import ConfigurationError
from hsmctl.doctor.agreement import CONFIGURATION
from hsmctl.doctor.certificates import CHECK as CERTIFICATES
from hsmctl.doctor.certificates import OPEN_FILE_BITS, certificate_findings, open_file
from hsmctl.doctor.finding import Finding, from_line
from hsmctl.doctor.listening import listeners, may_bind

FILES: Final = "files"
PORTS: Final = "ports"
CHECK_S: Final = 20.0
"""For a daemon's `--check`; it reads files and starts nothing."""
MAX_FILES: Final = 64
"""Configurations in one folder that are looked at: a host has a few daemons."""
_RIGHTS: Final = (
    (("cluster",), OPEN_FILE_BITS, "everybody can change who may do what", "0644"),
    (("state_dir",), OPEN_FILE_BITS, "everybody can change the node's state", "0700"),
    (("store", "path"), stat.S_IRWXO, "everybody can open the store", "0600"),
)
"""Key of a path in a configuration, what others should not do with what is there, and the mode that it should have."""
_MODULES: Final = {"proxy": "proxy.cli", "node": "hsm_node.cli"}
_OURS: Final = ("hsm-proxy", "hsm-node", "proxy.cli", "hsm_node.cli", "systemd", "/sbin/init")
"""What a port of ours may be held by; systemd holds it for a socket unit."""


class Daemon(msgspec.Struct, frozen=True):
    """One configuration: with all that holds where the daemon itself takes it, else as it is written."""

    path: Path
    kind: str
    settings: dict[str, Any]
    taken: bool

    @property
    def program(self) -> str:
        """The name of the program."""
        return f"hsm-{self.kind}"

    def maybe_file(self, *keys: str) -> Path | None:
        """Return the path at that key, one below the other, relative to the file; None where there is none."""
        value: Any = self.settings
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return self.path.absolute().parent / value if isinstance(value, str) and "\0" not in value else None

    def addresses(self) -> dict[str, ProxyAddress]:
        """Return where it listens: setting -> address, as far as they can be read."""
        found: dict[str, ProxyAddress] = {}
        for name in ("listen", "admin"):
            with contextlib.suppress(ConfigurationError):
                if name in self.settings:
                    found[name] = parse_address(str(self.settings[name]))
        return found


class Host:
    """The daemons whose configurations lie in these places, folders or files."""

    def __init__(self, places: list[Path]) -> None:
        self._faults: list[Finding] = []
        self.daemons: list[Daemon] = []
        for path in (file for place in places for file in self._files(place)):
            tables = self._tables(path)
            if isinstance(tables.get("cluster"), str):  # else it is a client.toml or cluster.toml
                self._check(path, "node" if "keystore" in tables else "proxy", tables)
        if not self.daemons and not self._faults:
            names = ", ".join(map(str, places))
            self._faults.append(
                Finding(CONFIGURATION, "error", names, "there is no proxy.toml or node.toml", "name their folder")
            )

    @property
    def hashes(self) -> dict[str, str]:
        """The hash of each proxy's cluster file, by the configuration's path."""
        found = {str(daemon.path): daemon.settings.get("configuration_hash", "") for daemon in self.daemons}
        return {path: value for path, value in found.items() if value}

    def configuration_findings(self) -> list[Finding]:
        """Return what the daemons say against their configurations."""
        return self._faults

    def findings(self, check: str) -> list[Finding]:
        """Return what one of the checks `certificates`, `files` and `ports` finds."""
        look = {CERTIFICATES: self._certificates, FILES: self._rights, PORTS: self._ports}[check]
        return [found for daemon in self.daemons for found in look(daemon)]

    def _files(self, place: Path) -> list[Path]:
        return sorted(place.glob("*.toml"))[:MAX_FILES] if place.is_dir() else [place]

    def _tables(self, path: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            advice = "check the path and its rights" if isinstance(error, OSError) else "correct it"
            self._faults.append(Finding(CONFIGURATION, "error", str(path), f"it cannot be read: {reason}", advice))
            return {}

    def _check(self, path: Path, kind: str, tables: dict[str, Any]) -> None:
        # -P: a file of the folder that the user is in must not be taken for a module of ours.
        command = [sys.executable, "-P", "-m", _MODULES[kind], "--config", str(path), "--check"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_S, check=False)
        except subprocess.TimeoutExpired:
            line = f"hsm-{kind} --check does not end within {CHECK_S:g} s"
        else:
            if done.returncode == 0:
                self.daemons.append(Daemon(path, kind, json.loads(done.stdout), taken=True))
                self._note_warnings(path, kind, done.stderr)
                return
            line = (done.stderr.strip().splitlines() or [f"hsm-{kind} --check ended with {done.returncode}"])[-1]
        self.daemons.append(Daemon(path, kind, tables, taken=False))
        line = line.removeprefix(f"hsm-{kind}: ").removeprefix(f"{path}: ")
        self._faults.append(from_line(CONFIGURATION, str(path), line, f"run hsm-{kind} --config {path} --check"))

    def _note_warnings(self, path: Path, kind: str, said: str) -> None:
        start = f"hsm-{kind}: warning: {path}: "
        lines = [line.removeprefix(start) for line in said.splitlines() if line.startswith(start)]
        found = [from_line(CONFIGURATION, str(path), line, "see docs/configuration") for line in lines]
        self._faults += [msgspec.structs.replace(each, severity="warning") for each in found]

    def _certificates(self, daemon: Daemon) -> list[Finding]:
        if not daemon.taken:
            return []  # The daemon has said what is wrong.
        found, now = [], datetime.datetime.now(datetime.UTC)
        # To the store's members a node shows another certificate, under any name: its CA is the store's own.
        for keys, roles in ((("tls",), (daemon.kind,)), (("store", "tls"), None)):
            ca, certificate, key = (daemon.maybe_file(*keys, name) for name in ("ca", "certificate", "key"))
            if ca is not None and certificate is not None and key is not None:  # else TLS is off
                found += certificate_findings(TlsFiles(ca, certificate, key), now, roles)
        return found

    def _rights(self, daemon: Daemon) -> list[Finding]:
        found = open_file(FILES, daemon.path, OPEN_FILE_BITS, "everybody can change it", "0644")
        for keys, bits, wrong, mode in _RIGHTS:
            path = daemon.maybe_file(*keys)
            found += open_file(FILES, path, bits, wrong, mode) if path is not None else []
        state = daemon.maybe_file("state_dir")
        if state is not None and not state.is_dir():
            wrong, advice = "the state directory is missing", f"mkdir -m 0700 {state}, owned by the node's user"
            found.append(Finding(FILES, "error", str(state), wrong, advice))
        return found

    def _ports(self, daemon: Daemon) -> list[Finding]:
        found = []
        for setting, address in daemon.addresses().items():
            subject = f"{daemon.path}: {setting} = {address}"
            taken = listeners(address.port)
            strangers = [each for each in taken if each.pid and not any(name in each.command for name in _OURS)]
            if strangers:
                advice = f"stop that process, or choose another port for {setting}"
                found.append(Finding(PORTS, "error", subject, f"{strangers[0]} has the port", advice))
            elif not taken and (error := may_bind(address.host, address.port)) is not None:
                advice = "name an address of this host, and a port that its user may take"
                found.append(Finding(PORTS, "error", subject, f"it cannot listen there: {error.strerror}", advice))
            elif not taken:
                advice = f"start {daemon.program} (`systemctl start {_unit(daemon)}`), unless it should not run"
                found.append(Finding(PORTS, "warning", subject, "nothing listens there", advice))
        return [*found, *self._doubles(daemon)]

    def _doubles(self, daemon: Daemon) -> list[Finding]:
        mine = daemon.addresses()
        return [
            Finding(
                PORTS,
                "error",
                f"{daemon.path}: {setting} = {address}",
                f"{other.path} has it too",
                "choose another port in one of them",
            )
            for other in self.daemons[: self.daemons.index(daemon)]
            for setting, address in mine.items()
            if address in other.addresses().values()
        ]


def _unit(daemon: Daemon) -> str:
    return "hsm-proxy" if daemon.kind == "proxy" else f"hsm-node@{daemon.settings.get('name', 'NAME')}"
