"""Both active data centres are lost, and then something ends at the DR site too, or the promotion itself is killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from data_centres import STOP_S, Dev
from scale import SCALE, SLACK

from hsm_client import sync
from hsm_client.errors import HsmError

pytestmark = pytest.mark.alone

SITES = ("zurich", "geneva")
MESSAGE = b"made before the loss"
KEYS = 20
POINTS = ["_save", "_restore", "stop_member", "exchange", "_keep", "start_member", "restart_nodes"]
"""Steps of a promotion after which it is killed."""
OFF: tuple[tuple[str, ...], ...] = ((), ("etcd-alps", "node-5"))
"""What had ended at the DR site before."""
KILLS = [
    (point, off) for at, point in enumerate(POINTS) for of, off in enumerate(OFF) if SCALE >= 1 or (at + of) % 2 == 0
]
"""At the full length each with both, else each with one of them."""
KILLED = """
import os, sys
from hsmctl.promotion import own_store
from hsmctl.promotion.dev_host import DevHost
point = sys.argv.pop(1)
owner = own_store if hasattr(own_store, point) else DevHost
does = getattr(owner, point)
def killed(*arguments):
    does(*arguments)
    os.kill(os.getpid(), 9)
setattr(owner, point, killed)
from hsmctl.cli import main
main()
"""


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    running = Dev(tmp_path / "dc")
    yield running
    running.stop()


def kill(dev: Dev, *names: str) -> None:
    """Kill daemons by their names."""
    for kind in ("nodes", "store", "proxies"):
        for entry in dev.manifest[kind]:
            if entry["name"] in names:
                os.kill(entry["pid"], signal.SIGKILL)


def start(dev: Dev, name: str) -> "subprocess.CompletedProcess[str]":
    """Ask for a daemon's start, whether it can or not."""
    command = [sys.executable, "-m", "hsmctl.cli", "dev", "start", name, "--dir", str(dev.folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * STOP_S, check=False)


def make_keys(hsm: sync.Hsm) -> list[sync.Key]:
    return [hsm.generate_key("ec-p256", durability="dr") for _ in range(KEYS)]


def lost(keys: list[sync.Key]) -> list[sync.Key]:
    """Return those that do not sign any more."""
    return [key for key in keys if not _works(key)]


def _works(key: sync.Key) -> bool:
    try:
        key.verify(MESSAGE, key.sign(MESSAGE, "ecdsa-sha256"), "ecdsa-sha256")
    except HsmError:
        return False
    return True


@pytest.mark.parametrize("restarted", [("node-5",), ("etcd-alps",), ("etcd-alps", "node-5")], ids="+".join)
def test_the_dr_host_was_rebooted_after_the_loss_and_promote_serves_every_acknowledged_key(
    dev: Dev, restarted: tuple[str, ...], count: Any
) -> None:
    with sync.connect(dev.folder / "client.toml", timeout_s=10.0 * SLACK) as hsm:
        keys = make_keys(hsm)
        for site in SITES:
            dev.kill_site(site)
        kill(dev, *restarted)
        for name in restarted:
            start(dev, name)  # A node without its store's majority does not come up.
        done = dev.hsmctl("dr", "promote", "--force", "--yes", "--json")
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert (said["epoch"], said["own_store"]) == (2, True)
        count(f"milliseconds of the command after {' and '.join(restarted)} ended", round(1000 * said["seconds"]))
        assert not lost(keys)
        assert _works(hsm.generate_key("ec-p256", label="after"))


def test_a_dr_host_that_is_off_with_its_last_change_only_in_the_log_serves_that_too(dev: Dev) -> None:
    with sync.connect(dev.folder / "client.toml", timeout_s=10.0 * SLACK) as hsm:
        keys = make_keys(hsm)
        # At one moment: nothing that the member still has in memory comes to its disk.
        dev.kill_sites({*SITES, "alps"}, lambda pids: pids.sort())
        done = dev.hsmctl("dr", "promote", "--force", "--yes", "--json")
        assert done.returncode == 0, done.stderr
        dev.again("proxy-3")
        assert not lost(keys)


@pytest.mark.parametrize(("point", "off"), KILLS, ids=[f"{point}-{'off' if off else 'up'}" for point, off in KILLS])
def test_a_promotion_that_was_killed_is_ended_by_the_next_one_with_one_copy(
    dev: Dev, point: str, off: tuple[str, ...]
) -> None:
    with sync.connect(dev.folder / "client.toml", timeout_s=10.0 * SLACK) as hsm:
        keys = make_keys(hsm)
        for site in SITES:
            dev.kill_site(site)
        kill(dev, *off)
        command = [sys.executable, "-c", KILLED, point, "dr", "promote", "--force", "--yes", "--dir", str(dev.folder)]
        killed = subprocess.run(command, capture_output=True, text=True, timeout=4 * STOP_S, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        done = dev.hsmctl("dr", "promote", "--force", "--yes")
        assert done.returncode == 0, done.stderr
        assert "a store of its own" in done.stdout
        assert "keep the productive sites off" in done.stdout
        beside = sorted(path.name for path in (dev.folder / "etcd").iterdir() if "etcd-alps" in path.name)
        assert beside == ["etcd-alps", "etcd-alps.before-epoch-2"]
        assert not lost(keys)
