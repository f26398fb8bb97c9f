"""Both active data centres are lost while keys are made; the DR site serves them by one command."""

import contextlib
import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from data_centres import BACKENDS, Dev
from programs import wait_until
from repeating import Repeating
from scale import SLACK, times

from hsm_client import sync
from hsm_client.errors import HsmError
from hsmctl.dev import readiness
from hsmctl.dev.etcd_program import get_etcd

pytestmark = pytest.mark.alone

RTO_S = 10.0 * SLACK
LAST_S = 1.0
"""Before the loss: keys of it may be lost under durability `quorum`."""
MESSAGE = b"made before the loss, signed after it"
SITES = ("zurich", "geneva")


class Maker(Repeating):
    """Makes keys through a connected client until it is told to stop, and notes which were acknowledged, and when."""

    def __init__(self, hsm: sync.Hsm) -> None:
        self.made: list[tuple[float, sync.Key]] = []
        self._hsm = hsm
        super().__init__(self._make)

    def _make(self) -> None:
        with contextlib.suppress(HsmError):  # Nobody was told that it is there.
            key = self._hsm.generate_key("ec-p256")
            self.made.append((time.monotonic(), key))


TURNS = [("software", turn) for turn in range(times(3))] + [("softhsm", 0)]


@pytest.fixture
def dev(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Dev]:
    """With keys in that back end."""
    running = Dev(tmp_path / "dc", request.param)
    yield running
    running.stop()


each_backend = pytest.mark.parametrize("dev", BACKENDS, indirect=True)


def works(key: sync.Key) -> bool:
    """Whether a key signs, by a client that was connected before the loss."""
    try:
        key.verify(MESSAGE, key.sign(MESSAGE, "ecdsa-sha256"), "ecdsa-sha256")
    except HsmError:
        return False
    return True


@pytest.mark.parametrize(("dev", "turn"), TURNS, indirect=["dev"])
def test_the_dr_site_serves_every_key_that_was_acknowledged_by_one_command(dev: Dev, count: Any, turn: int) -> None:
    chance = random.Random(turn)
    with sync.connect(dev.folder / "client.toml", timeout_s=5.0 * SLACK) as hsm:
        maker = Maker(hsm)
        try:
            time.sleep(2 + 2 * chance.random())
            refused = dev.hsmctl("dr", "promote", "--yes")
            assert (refused.returncode, "still answer" in refused.stderr) == (1, True), refused.stderr
            for site in SITES:
                dev.kill_site(site)
            lost_at = time.monotonic()
            refused = dev.hsmctl("dr", "promote", "--yes")
            assert (refused.returncode, "no majority" in refused.stderr) == (1, True), refused.stderr
            done = dev.hsmctl("dr", "promote", "--force", "--yes", "--json")
        finally:
            maker.stop()
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert (said["epoch"], said["own_store"]) == (2, True)
        before = [(at, key) for at, key in maker.made if at < lost_at]
        lost = [at for at, key in before if not works(key)]
        count("keys acknowledged before the loss", len(before))
        count("of these, lost", len(lost))
        count("seconds until the DR site served", said["seconds"])
        assert len(before) > 10
        assert all(at > lost_at - LAST_S for at in lost)
        assert said["seconds"] < RTO_S
        assert works(hsm.generate_key("ec-p256", label="after"))
        before[0][1].disable()  # Nobody of the lost sites is waited for.
        again = dev.hsmctl("dr", "promote", "--force", "--yes")
        assert (again.returncode, "promoted already, in epoch 2" in again.stderr) == (1, True), again.stderr


@each_backend
def test_a_majority_that_is_lost_after_the_promotion_is_left_by_another_one(dev: Dev) -> None:
    with sync.connect(dev.folder / "client.toml", timeout_s=5.0 * SLACK) as hsm:
        for site in SITES:
            dev.kill_site(site, "proxies", "nodes")
        done = dev.hsmctl("dr", "promote", "--yes", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) | {"seconds": 0} == {
            "cluster": "dev", "epoch": 2, "own_store": False, "kept": "", "seconds": 0
        }  # fmt: skip
        key = hsm.generate_key("ec-p256", label="between", durability="dr")
        for site in SITES:
            dev.kill_site(site, "store")
        refused = dev.hsmctl("dr", "promote", "--yes")
        assert (refused.returncode, "promoted already, in epoch 2" in refused.stderr) == (1, True), refused.stderr
        done = dev.hsmctl("dr", "promote", "--force", "--yes", "--json")
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert (said["epoch"], said["own_store"]) == (3, True)
        assert works(key)
        assert works(hsm.generate_key("ec-p256", label="after"))


def state_of(dev: Dev, name: str) -> str:
    """What a node says of itself; empty while it says nothing."""
    [entry] = [node for node in dev.manifest["nodes"] if node["name"] == name]
    return str(readiness.status(entry["admin"]).get("state", ""))


@each_backend
def test_old_sites_that_come_back_are_kept_out_whether_the_dr_site_is_there_or_not(dev: Dev) -> None:
    config = dev.folder / "client.toml"
    with sync.connect(config, timeout_s=5.0 * SLACK) as hsm:
        key = hsm.generate_key("ec-p256", label="before")
        for site in SITES:
            dev.kill_site(site)
        done = dev.hsmctl("dr", "promote", "--force", "--yes")
        assert done.returncode == 0, done.stderr
        assert works(key)
        for name in ("etcd-zurich", "etcd-geneva", "node-1", "proxy-1"):
            dev.again(name)
        wait_until(lambda: state_of(dev, "node-1") == "fenced", lambda: state_of(dev, "node-1"))
        assert all(works(key) for _ in range(20))
        assert works(hsm.generate_key("ec-p256", label="after"))
        seen = dev.folder / "state" / "proxy-1" / "epoch.json"
        wait_until(lambda: seen.exists() and json.loads(seen.read_text())["epoch"] == 2, lambda: "proxy-1 saw no epoch")
    dev.kill_site("alps")
    for name in ("node-2", "proxy-2"):
        dev.ask_for(name)
    wait_until(lambda: state_of(dev, "node-2") == "stale", lambda: state_of(dev, "node-2"))
    assert state_of(dev, "node-1") == "fenced"
    old_side = next(proxy["address"] for proxy in dev.manifest["proxies"] if proxy["name"] == "proxy-2")
    with sync.connect(config, proxies=[old_side], timeout_s=3.0 * SLACK) as hsm, pytest.raises(HsmError):
        hsm.generate_key("ec-p256", label="must not be made")
    dev.again("etcd-alps")
    wait_until(lambda: state_of(dev, "node-2") == "fenced", lambda: state_of(dev, "node-2"))


def hold_back_the_copy(dev: Dev, programs: Path) -> None:
    """Make programs of etcd whose snapshots are, from now on, of what the DR site's member has at this moment."""
    real = get_etcd()
    [alps] = [member for member in dev.manifest["store"] if member["site"] == "alps"]
    tls = {"cacert": "store-ca", "cert": "node-5-store", "key": "node-5-store-key"}
    command = [str(real.with_name("etcdctl")), "--endpoints", alps["address"]]
    command += [f"--{option}={dev.folder / name}.pem" for option, name in tls.items()]
    subprocess.run([*command, "snapshot", "save", str(programs / "early")], check=True, capture_output=True)
    for name in ("etcd", "etcdutl"):
        (programs / name).symlink_to(real.with_name(name))
    script = programs / "etcdctl"
    script.write_text(
        f'#!/bin/sh\nfor last in "$@"; do :; done\ncase "$*" in *"snapshot save"*) cp {programs}/early "$last";;\n'
        f'*) exec {real.with_name("etcdctl")} "$@";; esac\n'
    )
    script.chmod(0o755)


@pytest.mark.parametrize("dev", ["software"], indirect=True)
def test_a_copy_that_lacks_the_last_promotion_is_promoted_though_its_node_has_seen_that(
    dev: Dev, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sync.connect(dev.folder / "client.toml", timeout_s=5.0 * SLACK) as hsm:
        key = hsm.generate_key("ec-p256", label="before", durability="dr")
        hold_back_the_copy(dev, tmp_path)
        for site in SITES:
            dev.kill_site(site, "proxies", "nodes")
        done = dev.hsmctl("dr", "promote", "--yes", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["epoch"] == 2
        for site in SITES:
            dev.kill_site(site, "store")
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        done = dev.hsmctl("dr", "promote", "--force", "--yes", "--json")
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert (said["epoch"], said["own_store"]) == (3, True)
        wait_until(lambda: state_of(dev, "node-5") == "up", lambda: state_of(dev, "node-5"))
        assert works(key)
        assert works(hsm.generate_key("ec-p256", label="after"))
