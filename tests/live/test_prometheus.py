"""The deployed Prometheus files, with the real program and real daemons."""

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

from cluster import Cluster
from programs import Program, get
from prometheus import DEPLOYED, Prometheus, shortened, targets_of

from hsm_client import connect


def test_waits_and_ranges_are_shortened_and_other_numbers_are_not() -> None:
    text = "  scrape_interval: 15s\n- expr: rate(a[5m]) - b < 14 * 86400 # [1h]\n  for: 10m\n  for_free: 3m\n"
    assert shortened(text) == (
        "  scrape_interval: 1s\n- expr: rate(a[5000ms]) - b < 14 * 86400 # [60000ms]\n  for: 10000ms\n  for_free: 3m\n"
    )


def test_a_real_prometheus_reads_every_daemon_and_raises_an_alert_while_a_node_is_lost(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "uvloop", nodes=2, lifetime=timedelta(days=90))
    try:
        cluster.start()
        cluster.run(lambda: used(cluster))
        with Prometheus(tmp_path / "prometheus", targets_of(cluster)) as prometheus:
            prometheus.wait_scraped()
            assert set(prometheus.targets().values()) == {"up"}
            assert_agreed(prometheus, cluster)
            assert prometheus.firing() == set()
            node = cluster.nodes[1]
            node.kill()
            prometheus.wait_firing(["RedoubtOneNodeLeft"], 30.0)
            node.start()
            prometheus.wait_resolved(["RedoubtOneNodeLeft"], 30.0)
            assert {rule["health"] for rule in prometheus.rules()} == {"ok"}, prometheus.rules()
        for daemon in (cluster.proxy, cluster.nodes[0]):
            assert_clean(daemon)
    finally:
        cluster.stop()


async def used(cluster: Cluster) -> None:
    """Make a few requests of several kinds."""
    async with connect(cluster.client_config) as hsm:
        key = await hsm.generate_key("ec-p256", label="k")
        for number in range(20):
            await key.sign(number.to_bytes(4), "ecdsa-sha256")


def assert_agreed(prometheus: Prometheus, cluster: Cluster) -> None:
    """What Prometheus has, what the proxy's page says, and what the documentation lists are the same."""
    asked = {row.labels["node"]: row.value for row in prometheus.query("hsm_proxy_node_requests_total")}
    assert asked == cluster.node_requests()
    assert prometheus.value('hsm_proxy_requests_total{operation="sign",status_class="ok"}') == 20
    assert prometheus.value("sum(hsm_proxy_node_in_rotation)") == len(cluster.nodes)
    documented = set(re.findall(r"`(hsm_\w+)`", (DEPLOYED.parents[1] / "docs" / "metrics.md").read_text()))
    found = {row.labels["__name__"] for row in prometheus.query('{__name__=~"hsm_.+"}')}
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in found} - documented == set()


def assert_clean(daemon: Program) -> None:
    """Promtool finds nothing to say about the names and texts of a page."""
    program = shutil.which("promtool")
    assert program is not None, "promtool is missing: run sh tools/system_components.sh test"
    page = get(daemon.admin_port, "/metrics")[1]
    done = subprocess.run([program, "check", "metrics"], input=page, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
