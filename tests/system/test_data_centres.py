"""`hsmctl dev --store etcd`: a whole data centre is lost on this machine, and its clients notice nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from programs import bound_to_parent, wait_until
from scale import SLACK

from hsm_client import sync

READY_S = 15.0 * SLACK
"""The contract's, on a quiet machine."""
STOP_S = 30.0
MESSAGE = b"made in one data centre, used in another"


class Dev:
    """A running `hsmctl dev`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "hsmctl.cli", "dev", "--store", "etcd", "--dir", str(folder)]
        self.log = folder.with_suffix(".log")
        begun = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(bound_to_parent(command, signal.SIGTERM), stdout=log, stderr=log)
        wait_until((folder / "dev.json").exists, self.log.read_text, 2 * READY_S)
        self.ready_s = time.monotonic() - begun

    @property
    def manifest(self) -> dict[str, Any]:
        """What dev.json says."""
        found: dict[str, Any] = json.loads((self.folder / "dev.json").read_text())
        return found

    def kill_site(self, site: str) -> list[str]:
        """Kill everything of a site; return the names."""
        entries = [entry for kind in ("proxies", "nodes", "store") for entry in self.manifest[kind]]
        lost = [entry for entry in entries if entry["site"] == site]
        for entry in lost:
            os.kill(entry["pid"], signal.SIGKILL)
        return [entry["name"] for entry in lost]

    def again(self, name: str) -> None:
        """Start a daemon that was killed."""
        command = [sys.executable, "-m", "hsmctl.cli", "dev", "start", name, "--dir", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * STOP_S, check=False)
        assert done.returncode == 0, done.stderr

    def stop(self) -> None:
        """Stop in order, as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(STOP_S)


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[list[Dev]]:
    """Those that a test starts; all are stopped."""
    made: list[Dev] = []
    yield made
    for one in made:
        one.stop()


def test_a_data_centre_is_lost_and_comes_back_and_the_keys_are_kept_over_runs(
    dev: list[Dev], tmp_path: Path, count: Any
) -> None:
    dev.append(Dev(tmp_path / "dc"))
    running = dev[0]
    config = running.folder / "client.toml"
    assert [store["site"] for store in running.manifest["store"]] == ["zurich", "geneva", "alps"]
    with sync.connect(config) as hsm:
        keys = [hsm.generate_key("ec-p256", label=f"key-{number}") for number in range(10)]
        lost = running.kill_site("zurich")
        assert sorted(lost) == ["etcd-zurich", "node-1", "node-2", "proxy-1"]
        for _ in range(10):
            for key in keys:
                key.verify(MESSAGE, key.sign(MESSAGE, "ecdsa-sha256"), "ecdsa-sha256")
        begun = time.monotonic()
        keys.append(hsm.generate_key("ec-p256", label="without zurich"))
        count("milliseconds until a key was made without a site", round(1000 * (time.monotonic() - begun)))
        for name in sorted(lost):
            running.again(name)
        for key in keys * 4:
            key.sign(MESSAGE, "ecdsa-sha256")
    count("milliseconds until data centres were ready", round(1000 * running.ready_s))
    assert running.ready_s < READY_S
    running.stop()
    dev[0] = Dev(tmp_path / "dc")
    with sync.connect(config) as hsm:
        for key in keys:
            hsm.key(key.id).sign(MESSAGE, "ecdsa-sha256")
