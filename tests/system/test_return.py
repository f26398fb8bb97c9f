"""The old sites come back after a promotion: kept out, reconciled, joined anew, taken back, while clients work on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import killed_rejoin
import pytest
from data_centres import Dev
from programs import wait_until
from repeating import Repeating
from scale import SLACK

from hsm_client import sync
from hsm_client.errors import HsmError
from hsmctl.dev import readiness

pytestmark = pytest.mark.alone

SITES: Final = ("zurich", "geneva")
OLD_NODES: Final = ("node-1", "node-2", "node-3", "node-4")
MADE: Final = 300
"""Keys that only the old side has."""
CHANGED: Final = 10
"""Keys that only the old side has destroyed, and as many that only it has disabled."""
SEEN_S: Final = 10.0 * SLACK
"""For nodes to write down what they have seen: they do every half second."""
MESSAGE: Final = b"before, between and after"


class Load(Repeating):
    """Signs and makes keys until it is told to stop; nothing may fail."""

    def __init__(self, hsm: sync.Hsm, key: sync.Key) -> None:
        self.done = 0
        self.failed: list[str] = []
        self._hsm = hsm
        self._key = key
        super().__init__(self._use, 0.02)

    def _use(self) -> None:
        try:
            self._key.sign(MESSAGE, "ecdsa-sha256")
            if self.done % 20 == 0:
                self._hsm.generate_key("ec-p256", label="under load")
        except HsmError as error:
            self.failed.append(f"{time.monotonic():.2f} {error.status_name}: {error.detail}")
        self.done += 1


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    running = Dev(tmp_path / "dc")
    yield running
    running.stop()


def state_of(dev: Dev, name: str) -> str:
    """What a node says of itself; empty while it says nothing."""
    [entry] = [node for node in dev.manifest["nodes"] if node["name"] == name]
    return str(readiness.status(entry["admin"]).get("state", ""))


def until_states(dev: Dev, state: str, *names: str) -> None:
    wait_until(
        lambda: all(state_of(dev, name) == state for name in names),
        lambda: f"not {state}: {[(name, state_of(dev, name)) for name in names]}",
        30.0 * SLACK,
    )


def proxy_of(dev: Dev, site: str) -> str:
    return str(next(proxy["address"] for proxy in dev.manifest["proxies"] if proxy["site"] == site))


def client(dev: Dev, site: str) -> Any:
    return sync.connect(dev.folder / "client.toml", proxies=[proxy_of(dev, site)], timeout_s=10.0 * SLACK)


def said_by(dev: Dev, *words: str) -> Any:
    """Return what a command says; a store that elects, on a busy machine, is asked again as its line advises."""
    deadline = time.monotonic() + 20.0 * SLACK
    while True:
        done = dev.hsmctl(*words, "--json")
        if done.returncode == 0:
            return json.loads(done.stdout)
        assert "send again" in done.stderr and time.monotonic() < deadline, done.stderr  # noqa: PT018 - one condition


def refused_by(dev: Dev, *words: str) -> str:
    done = dev.hsmctl(*words)
    assert done.returncode == 1, done.stdout
    return done.stderr


class Sides:
    """What was made before, and what only the old side made of it."""

    def __init__(self, hsm: sync.Hsm) -> None:
        self.before = [hsm.generate_key("ec-p256", label=f"before-{number}") for number in range(2 * CHANGED + 3)]
        self.destroyed = [key.id for key in self.before[:CHANGED]]
        self.disabled = [key.id for key in self.before[CHANGED : 2 * CHANGED]]
        self.both, self.gone_here, self.untouched = (key.id for key in self.before[2 * CHANGED :])
        self.made: list[str] = []

    def on_the_old_side(self, hsm: sync.Hsm) -> None:
        self.made = [hsm.generate_key("ec-p256", label=f"old-{number}").id for number in range(MADE)]
        for key_id in self.destroyed:
            hsm.key(key_id).destroy()
        for key_id in self.disabled:
            hsm.key(key_id).disable()
        hsm.key(self.both).update(label="of the old side")

    def on_the_new_side(self, hsm: sync.Hsm) -> None:
        hsm.key(self.both).disable()
        hsm.key(self.gone_here).destroy()

    def check(self, hsm: sync.Hsm) -> None:
        """Whether each has ended as the rules say."""
        for key_id in (*self.made, self.untouched):
            key = hsm.key(key_id)
            key.verify(MESSAGE, key.sign(MESSAGE, "ecdsa-sha256"), "ecdsa-sha256")
        for key_id in (*self.destroyed, self.gone_here):
            with pytest.raises(HsmError, match="there is no key"):
                hsm.key(key_id).sign(MESSAGE, "ecdsa-sha256")
        for key_id in (*self.disabled, self.both):
            assert not hsm.key(key_id).describe().enabled


def lived_on_behind_a_cut_link(dev: Dev, sides: Sides) -> None:
    """The DR site is promoted while both sites live and cannot reach it; they work on, and are stopped then."""
    for site in SITES:
        lose(dev, site, "nodes", "proxies")
    elsewhere = _cut(dev)
    start(dev, *OLD_NODES, "proxy-1")
    until_states(dev, "up", *OLD_NODES)  # The DR site's node has warmed them, through the store.
    for site in SITES:
        lose(dev, site, "store")
    assert said_by(dev, "dr", "promote", "--force", "--yes")["own_store"]
    start(dev, "etcd-zurich", "etcd-geneva")
    until_states(dev, "up", *OLD_NODES)
    with client(dev, "zurich") as hsm:
        sides.on_the_old_side(hsm)
    for site in SITES:
        lose(dev, site)
    for path, text in elsewhere.items():
        path.write_text(text)


def came_back_cut_off(dev: Dev, sides: Sides) -> None:
    """Both sites are lost, the DR site is promoted; they come back, cut off, and an operator vouches wrongly."""
    for site in SITES:
        lose(dev, site)
    assert said_by(dev, "dr", "promote", "--force", "--yes")["own_store"]
    elsewhere = _cut(dev)
    start(dev, "etcd-zurich", "etcd-geneva")
    start(dev, *OLD_NODES)
    until_states(dev, "stale", *OLD_NODES)
    for name in OLD_NODES:
        vouched = dev.hsmctl("dr", "vouch", "--yes", "--socket", dev.folder / "state" / name / "admin.sock")
        assert vouched.returncode == 0, vouched.stderr
    until_states(dev, "up", *OLD_NODES)
    start(dev, "proxy-1")
    with client(dev, "zurich") as hsm:
        sides.on_the_old_side(hsm)
    for site in SITES:
        lose(dev, site, "nodes")
    lose(dev, "zurich", "proxies")
    for path, text in elsewhere.items():
        path.write_text(text)


def _cut(dev: Dev) -> dict[Path, str]:
    """Have daemons of the old sites look for the DR site where nobody is; return what their files were."""
    nobody = "127.0.0.1:9"
    there = [entry["address"] for kind in ("store", "nodes") for entry in dev.manifest[kind] if entry["site"] == "alps"]
    before: dict[Path, str] = {}
    cluster = dev.folder / "cluster.toml"
    cut = dev.folder / "cut.toml"
    text = cluster.read_text()
    for address in there:
        text = text.replace(f'"{address}"', f'"{nobody}"')
    cut.write_text(text)
    for name in (*OLD_NODES, "proxy-1", "proxy-2"):
        path = dev.folder / f"{name}.toml"
        before[path] = text = path.read_text()
        for address in there:
            text = text.replace(f'"{address}"', f'"{nobody}"')
        path.write_text(text.replace('"cluster.toml"', '"cut.toml"'))
    return before


@pytest.mark.parametrize("loss", [lived_on_behind_a_cut_link, came_back_cut_off])
def test_old_sites_come_back_without_a_failed_request(dev: Dev, count: Any, loss: Callable[[Dev, Sides], None]) -> None:
    with client(dev, "zurich") as hsm:
        sides = Sides(hsm)
    loss(dev, sides)
    with client(dev, "alps") as hsm:
        load = Load(hsm, hsm.key(sides.untouched))
        try:
            sides.on_the_new_side(hsm)
            _return(dev, sides, hsm, count)
        finally:
            load.stop()
    assert load.failed == []
    count("requests while the old sites came back, none of which failed", load.done)


def test_a_rejoin_that_is_killed_after_each_of_its_steps_ends_well(dev: Dev, monkeypatch: pytest.MonkeyPatch) -> None:
    with client(dev, "zurich") as hsm:
        key_id = hsm.generate_key("ec-p256").id
    seen = [dev.folder / "state" / name / "seen.db" for name in OLD_NODES[:2]]
    wait_until(lambda: all(path.exists() for path in seen), lambda: "what they have seen is on the disk", SEEN_S)
    for site in SITES:
        lose(dev, site)
    assert said_by(dev, "dr", "promote", "--force", "--yes")["own_store"]
    start(dev, "etcd-zurich", "etcd-geneva", *OLD_NODES, "proxy-1", "proxy-2")
    until_states(dev, "fenced", *OLD_NODES)
    said_by(dev, "dr", "reconcile", "--apply")
    for step in killed_rejoin.STEPS:
        monkeypatch.setenv("KILLED_AFTER", step)
        killed = run_killed(dev, "dr", "rejoin", "--site", SITES[0], "--yes")
        assert killed.returncode == -signal.SIGKILL, (step, killed.stderr)
    joined = said_by(dev, "dr", "rejoin", "--site", SITES[0], "--yes")
    assert Path(joined["kept"]).name.endswith(".before-rejoin"), joined
    until_states(dev, "up", *OLD_NODES[:2])
    for path in seen:
        assert path.with_name("seen.db.before-rejoin").exists(), path
        assert not path.with_name("rejoin.json").exists(), path
    said_by(dev, "dr", "rejoin", "--site", SITES[1], "--yes")
    until_states(dev, "up", *OLD_NODES)
    assert said_by(dev, "dr", "demote", "--yes")["epoch"] == 2
    with client(dev, "zurich") as hsm:
        hsm.key(key_id).sign(MESSAGE, "ecdsa-sha256")


def run_killed(dev: Dev, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that is killed on its way."""
    command = [sys.executable, killed_rejoin.__file__, *words, "--dir", str(dev.folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120.0 * SLACK, check=False)


def _return(dev: Dev, sides: Sides, hsm: sync.Hsm, count: Any) -> None:
    """Everything that docs/disaster-recovery.md has done until the old sites serve."""
    start(dev, "etcd-zurich", "etcd-geneva", *OLD_NODES, "proxy-1", "proxy-2")
    until_states(dev, "fenced", *OLD_NODES)
    assert "no node of geneva follows this store" in refused_by(dev, "dr", "demote", "--yes")

    refused = refused_by(dev, "dr", "rejoin", "--site", SITES[0], "--yes")
    assert f"{MADE + 2 * CHANGED} keys or objects are on the old side alone" in refused, refused
    listed = said_by(dev, "dr", "reconcile")
    assert (listed["applied"], listed["epoch"]) == (False, 1)
    counts = {"made": MADE, "destroyed": CHANGED, "stricter": CHANGED, "conflict": 1, "destroyed since": 1}
    assert listed["counts"].items() >= counts.items(), listed["counts"]
    assert said_by(dev, "dr", "reconcile", "--apply")["counts"] == listed["counts"]
    sides.check(hsm)
    again = said_by(dev, "dr", "reconcile", "--apply")["counts"]
    assert again == {"there": again["there"], "conflict": 1, "destroyed since": 1}

    for site in SITES:
        joined = said_by(dev, "dr", "rejoin", "--site", site, "--yes")
        count(f"seconds until {site} had joined", joined["seconds"])
        refused = refused_by(dev, "dr", "rejoin", "--site", site, "--yes")
        assert "already; there is nothing to do" in refused, refused
        if site == SITES[0]:
            assert "no node of geneva follows this store" in refused_by(dev, "dr", "demote", "--yes")
    until_states(dev, "up", *OLD_NODES)
    sides.check(hsm)
    assert said_by(dev, "dr", "demote", "--yes")["epoch"] == 2
    until_states(dev, "standby", "node-5")
    assert "it was not promoted" in refused_by(dev, "dr", "demote", "--yes")
    sides.check(hsm)
    time.sleep(2.0)  # The load goes on: what would fail now is what nobody waits for.


def lose(dev: Dev, site: str, *kinds: str) -> None:
    """Kill daemons of a site, and wait until the system has taken them apart."""
    entries = [entry for kind in kinds or ("proxies", "nodes", "store") for entry in dev.manifest[kind]]
    lost = [entry for entry in entries if entry["site"] == site and _runs(dev, entry["name"])]
    for entry in lost:
        os.kill(entry["pid"], signal.SIGKILL)
    wait_until(lambda: not any(_runs(dev, entry["name"]) for entry in lost), lambda: f"not all of {site} end")


def start(dev: Dev, *names: str) -> None:
    """Have daemons that were killed run again; whether they serve, others wait for."""

    def all_run() -> bool:
        missing = [name for name in names if not _runs(dev, name)]
        for name in missing:
            dev.ask_for(name)
        return not missing

    wait_until(all_run, lambda: f"not all of {names} run", 30.0 * SLACK)


def _runs(dev: Dev, name: str) -> bool:
    entries = [entry for kind in ("store", "nodes", "proxies") for entry in dev.manifest[kind]]
    [entry] = [entry for entry in entries if entry["name"] == name]
    path = Path(f"/proc/{entry['pid']}/stat")
    return path.exists() and path.read_bytes().rpartition(b")")[2].split()[0] != b"Z"
