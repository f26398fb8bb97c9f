"""A DR site that could not take over raises an alert within one drill: each fault is real, and so is Prometheus.

The members of the store are at three sites; whoever is outside reaches each of them, also one that the others do not.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from economy_cluster import EconomyCluster
from etcd import CALL_S
from hsmctl_forks import run_hsmctl_text
from member_damage import damaged
from programs import Program, wait_until
from prometheus import Prometheus, targets_of
from scale import SLACK
from site_networks import SiteNetworks, namespaces_lack
from store_cluster import ACTIVE, DR, SITES, SiteStore

from hsm_client import sync
from hsm_node.core.keyring import Keyring
from hsm_node.store.etcd.channels import Link, credentials_of
from hsm_node.store.etcd.opening import decoded, encoded
from hsm_node.store.etcd.transactions import CHECK_KEY, get, only

LIFETIME = timedelta(days=90)
OBJECTIVE_S = 1.0
"""Of the DR node; five seconds are usual, and would only take longer here."""
FIRES_S = 60.0 * SLACK
RESOLVES_S = 90.0 * SLACK
FAILED, OUT = "RedoubtDrillFailed", "RedoubtDrOut"


class Recovery:
    """A cluster with a DR site, and Prometheus that watches it."""

    def __init__(self, folder: Path) -> None:
        self.networks = SiteNetworks(SITES)
        self.members = SiteStore(folder / "etcd", self.networks, LIFETIME)
        (folder / "nodes").mkdir()
        self.cluster = EconomyCluster(folder / "nodes", "uvloop", nodes=3, proxies=2, lifetime=LIFETIME)
        for node in self.cluster.nodes:
            self.write(node)
        self.prometheus = Prometheus(folder / "prometheus", targets_of(self.cluster))

    @property
    def dr_node(self) -> Program:
        return self.cluster.nodes[-1]

    def write(self, node: Program, **changes: str) -> None:
        store = self.members.toml_at(self.cluster.site_of(node))
        self.cluster.write_node(node, store=store, recovery=f"{{ objective_seconds = {OBJECTIVE_S} }}", **changes)

    def start(self) -> None:
        self.members.start()
        self.cluster.start()
        self.prometheus.start()
        self.prometheus.wait_scraped()

    def stop(self) -> None:
        self.prometheus.stop()
        self.cluster.stop()
        self.members.stop()
        self.networks.close()

    def make_keys(self, count: int) -> None:
        with sync.connect(self.cluster.client_config) as hsm:
            for _ in range(count):
                hsm.generate_key("ec-p256")

    def drill(self) -> dict[str, Any]:
        socket = self.cluster.folder / "state" / self.dr_node.name / "admin.sock"
        done = run_hsmctl_text("dr", "drill", "--json", "--socket", socket, environment=os.environ, timeout_s=120.0)
        assert done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @contextmanager
    def alerting(self, reason: str) -> Iterator[dict[str, Any]]:
        """Make one drill: it finds that, and the alert fires. After the block all is well, and the alert is gone."""
        report = self.drill()
        assert not report["good"], report
        value = self.prometheus.value
        self.prometheus.wait_firing([FAILED], FIRES_S)
        assert value(f'hsm_node_recovery_drill_faults{{node="{self.dr_node.name}", reason="{reason}"}}') >= 1, report
        yield report
        wait_until(lambda: bool(self.drill()["good"]), lambda: str(self.drill()), FIRES_S)
        self.prometheus.wait_resolved([FAILED], RESOLVES_S)


@pytest.fixture
def recovery(tmp_path: Path) -> Iterator[Recovery]:
    """All of it, started, with some keys."""
    if lack := namespaces_lack():
        pytest.skip(lack)
    made = Recovery(tmp_path)
    try:
        made.start()
        made.make_keys(10)
        yield made
    finally:
        made.stop()


def test_damage_a_lag_and_a_wrong_master_key_each_fire_an_alert_within_one_drill(recovery: Recovery) -> None:
    assert recovery.drill()["good"]
    assert not {FAILED, OUT} & recovery.prometheus.firing()
    check_damage(recovery)
    check_lag(recovery)
    check_node_with_another_key(recovery)
    check_copy_under_another_key(recovery)


def check_damage(recovery: Recovery) -> None:
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(damaged(recovery.members.members[SITES.index(DR)].data))
        with recovery.alerting("records") as report:
            assert name in report["faults"][0]
            stack.close()


def check_lag(recovery: Recovery) -> None:
    """The member has lost the others, and the node has not."""
    for site in ACTIVE:
        recovery.networks.cut(site, DR)
    try:
        recovery.make_keys(10)
        with recovery.alerting("lag") as report:
            assert f"for more than {OBJECTIVE_S:g} s" in report["faults"][0]
            assert report["rpo_records"] >= 10
            recovery.networks.heal()
    finally:
        recovery.networks.heal()


def check_node_with_another_key(recovery: Recovery) -> None:
    """A node that is started with it does not get so far as to a drill: that it is out is said."""
    node, wrong = recovery.dr_node, recovery.cluster.folder / "wrong.key"
    wrong.touch(mode=0o600)
    wrong.write_text(os.urandom(32).hex())
    node.kill()
    recovery.write(node, keystore=f'{{ backend = "software", master_key = {{ file = "{wrong}" }} }}')
    said = node.run_to_end()
    assert said.returncode != 0
    assert "master key" in said.stderr.splitlines()[-1], said.stderr
    recovery.prometheus.wait_firing([OUT], FIRES_S)
    recovery.write(node)
    node.start()
    node.wait_ready()
    recovery.prometheus.wait_resolved([OUT], RESOLVES_S)


def check_copy_under_another_key(recovery: Recovery) -> None:
    """What the copy begins with is of another master key than the node holds: as after a rotation without the node."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(checked_under(recovery.members, Keyring(os.urandom(32))))
        with recovery.alerting("master_key") as report:
            assert any("under another master key than this node holds" in fault for fault in report["faults"])
            stack.close()


@contextmanager
def checked_under(members: SiteStore, ring: Keyring) -> Iterator[None]:
    """Authenticate the check record under that key instead, for every member."""
    with contextlib.closing(Link(members.members[0].address, credentials_of(members.tls))) as link:
        pair = only(link.range(get(CHECK_KEY), timeout=CALL_S))
    assert pair is not None
    members.put(CHECK_KEY, encoded(decoded(pair).record, ring))
    try:
        yield
    finally:
        members.put(CHECK_KEY, pair.value)
