"""The page, `hsmctl status` and a real Prometheus say the same of one cluster at the same time."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench_process import hsmctl
from playwright.sync_api import Page
from programs import wait_until
from prometheus import Prometheus, targets_of
from sites_cluster import SitesCluster
from views import Views
from watched_load import load

RATE = 120.0
NEAR = 0.2
"""By which rates of ten seconds that end a second or two apart may differ from the rate of the load."""
AGREED_S = 60.0
LOST = "node-3"


def told_by_page(page: Page) -> tuple[float, Mapping[str, bool]]:
    """Return requests per second, and of each node whether it serves."""
    rate = page.locator(".figure-value").first.inner_text().replace(",", "")
    nodes = page.locator(".node").all()
    return float(rate), {
        node.locator(".node-name").inner_text(): node.get_attribute("data-level") == "ok" for node in nodes
    }


def told_by_hsmctl(cluster: SitesCluster) -> tuple[float, Mapping[str, bool]]:
    status = hsmctl(cluster.client_config, "status")
    return status["requests_per_second"], {node["name"]: node["state"] == "up" for node in status["nodes"]}


def told_by_prometheus(prometheus: Prometheus) -> tuple[float, Mapping[str, bool]]:
    in_rotation = prometheus.query("hsm_proxy_node_in_rotation")
    rates = prometheus.query('sum(rate(hsm_proxy_requests_total{operation="sign"}[10s]))')
    return sum(row.value for row in rates), {row.labels["node"]: row.value == 1.0 for row in in_rotation}


def test_the_page_hsmctl_status_and_prometheus_agree_before_and_after_a_node_is_lost(
    make_sites: Callable[..., SitesCluster], views: Views, tmp_path: Path
) -> None:
    cluster = make_sites()
    lost = cluster.node(LOST)
    with Prometheus(tmp_path / "prometheus", targets_of(cluster)) as prometheus:
        prometheus.wait_scraped()
        page = views.open(f"http://127.0.0.1:{cluster.proxy.admin_port}/")
        told: dict[str, Any] = {}

        def agreed(serving: Mapping[str, bool]) -> bool:
            told["page"] = told_by_page(page)
            told["hsmctl"] = told_by_hsmctl(cluster)
            told["prometheus"] = told_by_prometheus(prometheus)
            return all(nodes == serving and abs(rate - RATE) < NEAR * RATE for rate, nodes in told.values())

        with load(cluster, rate=RATE):
            for serves in (True, False):
                serving = {node.name: serves or node is not lost for node in cluster.nodes}
                wait_until(lambda now=serving: agreed(now), lambda: f"they agree: {told}", AGREED_S)
                if serves:
                    lost.kill()
        asked = {node["name"]: node["requests"] for node in hsmctl(cluster.client_config, "status")["nodes"]}
        wait_until(
            lambda: (
                {row.labels["node"]: row.value for row in prometheus.query("hsm_proxy_node_requests_total")} == asked
            ),
            lambda: f"Prometheus has the nodes' counts {asked}",
        )
