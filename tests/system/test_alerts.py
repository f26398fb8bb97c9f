"""Alerts driven to firing by their real fault, and resolved: a real Prometheus with the deployed rules.

All waits and ranges of the rules are divided by `prometheus.TIME_FACTOR`, so a minute of theirs is a second here.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bench_process import hsmctl
from cluster import Cluster
from fault_queue import fault
from load import Load
from programs import Program
from prometheus import Prometheus, Target, targets_of
from scale import SLACK
from stand import Stand

KEY = "load"
FIRES_S = 45.0 * SLACK
"""The longest wait of an alert is ten minutes, ten seconds here, after ranges of ten minutes; twice that, and spare."""
RESOLVES_S = 90.0 * SLACK
"""A range of half an hour has to empty, half a minute here; certificates and nodes need some seconds of their own."""
DAYS = timedelta(days=90)

Watch = Callable[[Cluster | Stand], Prometheus]
MakeCluster = Callable[..., Cluster]
MakeStand = Callable[..., Stand]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """Start a Prometheus that scrapes a cluster, or the proxies of a stand (fake nodes have no metrics)."""
    started: list[Prometheus] = []

    def start(watched: Cluster | Stand) -> Prometheus:
        if isinstance(watched, Cluster):
            targets = targets_of(watched)
        else:
            labels = {"cluster": "test", "proxy_site": "here"}
            targets = [Target("hsm-proxy", {**labels, "proxy": one.name}, one.admin_port) for one in watched.proxies]
        prometheus = Prometheus(tmp_path / "prometheus", targets)
        started.append(prometheus)
        prometheus.start()
        prometheus.wait_scraped()
        return prometheus

    yield start
    for prometheus in started:
        prometheus.stop()


@pytest.fixture
def lasting(make_cluster: MakeCluster) -> MakeCluster:
    """Make a cluster whose certificates are good for long, so that they raise no alert."""
    return lambda **options: make_cluster(lifetime=DAYS, **options)


def fires(prometheus: Prometheus, *names: str) -> None:
    """Wait until these alerts fire; their texts are whole."""
    prometheus.wait_firing(names, FIRES_S)
    for alert in prometheus.alerts():
        for text in alert.annotations.values():
            assert text, alert
            assert "{{" not in text, alert
            assert "<no value>" not in text, alert
            assert "<error" not in text, alert


def resolves(prometheus: Prometheus, *names: str) -> None:
    """Wait until these alerts are gone."""
    prometheus.wait_resolved(names, RESOLVES_S)


def reload(*programs: Program) -> None:
    """SIGHUP."""
    for program in programs:
        os.kill(program.pid, signal.SIGHUP)


def signatures(cluster: Cluster) -> Load:
    """Signatures that are not sent again when they fail."""
    key_id = bytes.fromhex(hsmctl(cluster.client_config, "key", "show", KEY)["id"])
    return Load(cluster.client_config, clients=4, rate=60.0, retry=False, key_id=key_id, verify=False)


def test_lost_nodes_raise_what_is_lost_and_failed_requests_burn_the_error_budget(
    lasting: MakeCluster, watch: Watch
) -> None:
    cluster = lasting(nodes=2)
    prometheus = watch(cluster)
    assert prometheus.firing() == set()
    one, two = cluster.nodes
    with signatures(cluster) as load:
        two.kill()
        fires(prometheus, "RedoubtOneNodeLeft", "RedoubtNodeOut", "RedoubtTargetDown")
        assert "RedoubtNoNodeInRotation" not in prometheus.firing()
        one.kill()
        fires(prometheus, "RedoubtNoNodeInRotation", "RedoubtErrorBudgetBurnsFast")
        for node in (one, two):
            node.start()
        resolves(prometheus, "RedoubtNoNodeInRotation", "RedoubtOneNodeLeft", "RedoubtNodeOut", "RedoubtTargetDown")
        resolves(prometheus, "RedoubtErrorBudgetBurnsFast")
    assert load.failed["UNAVAILABLE"], load.failed


def test_two_sealed_nodes_of_three_raise_an_alert_until_one_is_unsealed(lasting: MakeCluster, watch: Watch) -> None:
    cluster = lasting()
    prometheus = watch(cluster)
    folder = cluster.folder / "shares"
    unseal(["split", "--threshold", 2, "--shares", 3, "--out-dir", folder, "--master-key", cluster.master_key])
    for node in cluster.nodes[1:]:
        node.kill()
        cluster.write_node(node, keystore='{ backend = "software", master_key = { shares = {} } }')
        node.start()
    fires(prometheus, "RedoubtSealedNodes")
    assert prometheus.value("sum(hsm_node_sealed)") == 2
    socket = cluster.folder / "state" / cluster.nodes[1].name / "admin.sock"
    for share in sorted(folder.iterdir())[:2]:
        unseal(["--socket", socket], share.read_text())
    resolves(prometheus, "RedoubtSealedNodes")


def unseal(arguments: list[object], share: str = "") -> None:
    """Run `hsmctl unseal`."""
    command = [sys.executable, "-m", "hsmctl.cli", "unseal", *map(str, arguments)]
    done = subprocess.run(command, input=share, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_a_store_that_was_taken_away_raises_an_alert_until_it_is_back(lasting: MakeCluster, watch: Watch) -> None:
    cluster = lasting()
    prometheus = watch(cluster)
    kept = cluster.folder / "kept.db"
    cluster.store.rename(kept)
    shutil.copy(kept, cluster.store)  # another file in its place
    fires(prometheus, "RedoubtStoreStale")
    kept.replace(cluster.store)
    resolves(prometheus, "RedoubtStoreStale")


def test_certificates_close_to_their_end_raise_alerts_until_they_are_renewed(
    lasting: MakeCluster, watch: Watch
) -> None:
    cluster = lasting(nodes=2)

    def renew_all(left: timedelta) -> None:
        cluster.authority.lifetime, cluster.authority.age = left, DAYS
        for program in (*cluster.nodes, *cluster.proxies):
            cluster.renew(program)
            reload(program)

    renew_all(timedelta(hours=1))
    prometheus = watch(cluster)
    fires(prometheus, "RedoubtCertificateExpiresSoon", "RedoubtCertificateExpiresNow")
    renew_all(DAYS)
    resolves(prometheus, "RedoubtCertificateExpiresSoon", "RedoubtCertificateExpiresNow")


def test_a_clock_that_is_wrong_raises_an_alert_until_it_is_set(lasting: MakeCluster, watch: Watch) -> None:
    cluster = lasting(nodes=2)
    prometheus = watch(cluster)
    node = cluster.nodes[0]
    right = node.command

    def restart(command: Callable[[], list[str]]) -> None:
        node.kill()
        node.command = command  # type: ignore[method-assign]  # the same program with another time of day
        node.start()
        node.wait_ready()

    wrong = (
        "import runpy, sys, time; now = time.time; time.time = lambda: now() + 7.0; "
        "sys.argv[0] = 'hsm-node'; runpy.run_module('hsm_node.cli', run_name='__main__')"
    )
    restart(lambda: [sys.executable, "-c", wrong, "--config", str(node.config)])
    fires(prometheus, "RedoubtClockSkew")
    assert prometheus.value(f'instance:hsm_clock:offset_seconds{{node="{node.name}"}}') == pytest.approx(7, abs=1)
    restart(right)
    resolves(prometheus, "RedoubtClockSkew")


def test_a_configuration_that_one_node_alone_has_and_one_that_is_refused_raise_alerts(
    lasting: MakeCluster, watch: Watch
) -> None:
    cluster = lasting(nodes=2)
    prometheus = watch(cluster)
    with (cluster.folder / "cluster.toml").open("a") as file:
        more = '{ identity = "spiffe://test/client/more", roles = ["use"] }'
        file.write(f'[[partitions]]\nid = 3\nname = "third"\nclients = [{more}]\n')
    reload(cluster.nodes[0])
    fires(prometheus, "RedoubtConfigurationsDiffer")
    reload(cluster.nodes[1], cluster.proxy)
    resolves(prometheus, "RedoubtConfigurationsDiffer")

    good = cluster.proxy.config.read_text()
    cluster.proxy.config.write_text(good + "nonsense = 1\n")
    reload(cluster.proxy)
    fires(prometheus, "RedoubtReloadFailed")
    cluster.proxy.config.write_text(good)
    reload(cluster.proxy)
    resolves(prometheus, "RedoubtReloadFailed")


def test_a_lost_site_and_a_lost_path_raise_alerts_until_they_are_back(make_stand: MakeStand, watch: Watch) -> None:
    stand = make_stand(nodes=4, paths=2)  # node-1 and node-4 in one site, the others in one each
    prometheus = watch(stand)
    stand.relays["node-1"][0].call("black_hole", new="hang")
    fires(prometheus, "RedoubtPathDown")
    for node in stand.nodes[1:3]:
        node.kill()
    fires(prometheus, "RedoubtOneSiteLeft")
    assert "RedoubtOneNodeLeft" not in prometheus.firing()
    stand.relays["node-1"][0].call("heal")
    for node in stand.nodes[1:3]:
        node.start()
    resolves(prometheus, "RedoubtPathDown", "RedoubtOneSiteLeft")


def test_a_slow_node_raises_an_alert_until_it_is_quick_again(make_stand: MakeStand, watch: Watch) -> None:
    stand = make_stand()
    prometheus = watch(stand)
    with Load(stand.client_config, rate=200.0):
        stand.nodes[0].set(service_ms=60.0, sessions=64)
        fires(prometheus, "RedoubtSlowNode")
        stand.nodes[0].set(service_ms=0.0)
        resolves(prometheus, "RedoubtSlowNode")


def test_a_node_whose_window_binds_raises_an_alert_for_the_uneven_spread(make_stand: MakeStand, watch: Watch) -> None:
    stand = make_stand()
    prometheus = watch(stand)
    everywhere(stand, service_ms=20.0, sessions=64)
    with Load(stand.client_config, rate=400.0):
        stand.nodes[0].set(window=1)
        fires(prometheus, "RedoubtUnevenDistribution")
        stand.nodes[0].set(window=256)
        resolves(prometheus, "RedoubtUnevenDistribution")


def test_more_than_the_nodes_can_do_raises_an_alert_until_it_ends(make_stand: MakeStand, watch: Watch) -> None:
    stand = make_stand(settings="[limits]\nqueue_requests = 8\n")
    prometheus = watch(stand)
    everywhere(stand, service_ms=200.0, sessions=1, window=2)
    with Load(stand.client_config, rate=200.0, retry=False):
        fires(prometheus, "RedoubtOverloaded")
        everywhere(stand, service_ms=0.0, sessions=4, window=256)
        resolves(prometheus, "RedoubtOverloaded")


def test_retries_above_their_budget_raise_an_alert_until_they_end(make_stand: MakeStand, watch: Watch) -> None:
    stand = make_stand(settings="[retry]\nbudget_share = 0.0\nbudget_per_s = 1.0\nbudget_burst = 1\n")
    prometheus = watch(stand)
    with Load(stand.client_config, rate=100.0, retry=False):
        for node in stand.nodes[:2]:
            node.arm(fault("not_current", "SIGN", times=0))
        fires(prometheus, "RedoubtRetriesAboveBudget")
        for node in stand.nodes:
            node.clear()
        resolves(prometheus, "RedoubtRetriesAboveBudget")


def everywhere(stand: Stand, **settings: Any) -> None:
    """Have all fake nodes be like that."""
    for node in stand.nodes:
        node.set(**settings)
