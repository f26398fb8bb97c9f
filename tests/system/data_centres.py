"""`hsmctl dev --store etcd` as a process of its own: two active data centres and a DR site on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from programs import bound_to_parent, wait_until
from scale import SLACK

READY_S = 15.0 * SLACK
"""The contract's, on a quiet machine."""
STOP_S = 30.0
TOKENS_S = 120.0 * SLACK
"""More where five tokens are to be made: each makes an RSA key to take the master key under."""
BACKENDS = ("software", "softhsm")
"""Where keys are, of clusters that a test is tried on."""


class Dev:
    """A running `hsmctl dev`."""

    def __init__(self, folder: Path, backend: str = "software") -> None:
        self.folder = folder
        self.backend = backend
        command = [sys.executable, "-m", "hsmctl.cli", "dev", "--store", "etcd", "--dir", str(folder)]
        command += ["--backend", backend]
        self.log = folder.with_suffix(".log")
        begun = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(bound_to_parent(command, signal.SIGTERM), stdout=log, stderr=log)
        wait_until((folder / "dev.json").exists, self.log.read_text, 2 * READY_S + (TOKENS_S if self.in_tokens else 0))
        self.ready_s = time.monotonic() - begun

    @property
    def in_tokens(self) -> bool:
        """Whether keys are in tokens of SoftHSM2, one of each node."""
        return self.backend == "softhsm"

    @property
    def manifest(self) -> dict[str, Any]:
        """What dev.json says."""
        found: dict[str, Any] = json.loads((self.folder / "dev.json").read_text())
        return found

    def kill_site(self, site: str, *kinds: str) -> list[str]:
        """Kill everything of a site, or its `proxies`, `nodes` or `store`; return the names."""
        entries = [entry for kind in kinds or ("proxies", "nodes", "store") for entry in self.manifest[kind]]
        lost = [entry for entry in entries if entry["site"] == site]
        for entry in lost:
            os.kill(entry["pid"], signal.SIGKILL)
        return [entry["name"] for entry in lost]

    def kill_sites(self, sites: Iterable[str], order: Callable[[list[int]], object]) -> None:
        """Kill everything of several sites at one moment, in that order."""
        pids = [
            entry["pid"]
            for kind in ("proxies", "nodes", "store")
            for entry in self.manifest[kind]
            if entry["site"] in sites
        ]
        order(pids)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def ask_for(self, name: str) -> None:
        """Have a daemon that was killed started; nobody waits until it serves."""
        (self.folder / "requests" / name).touch()

    def again(self, name: str) -> None:
        """Start a daemon that was killed."""
        command = [sys.executable, "-m", "hsmctl.cli", "dev", "start", name, "--dir", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=4 * STOP_S, check=False)
        assert done.returncode == 0, done.stderr

    def hsmctl(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """Run a command that finds this cluster by its client.toml."""
        command = [sys.executable, "-m", "hsmctl.cli", *map(str, arguments)]
        environment = {**os.environ, "HSM_CLIENT_CONFIG": str(self.folder / "client.toml")}
        return subprocess.run(command, capture_output=True, text=True, timeout=4 * STOP_S, env=environment, check=False)

    def stop(self) -> None:
        """Stop in order, as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(STOP_S)
