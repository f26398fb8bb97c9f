"""The deployed Prometheus files, with the real program and real daemons."""

from pathlib import Path

from cluster import Cluster
from prometheus import Prometheus, shortened, targets_of


def test_waits_and_ranges_are_shortened_and_other_numbers_are_not() -> None:
    text = "  scrape_interval: 15s\n- expr: rate(a[5m]) - b < 14 * 86400 # [1h]\n  for: 10m\n  for_free: 3m\n"
    assert shortened(text) == (
        "  scrape_interval: 1s\n- expr: rate(a[5000ms]) - b < 14 * 86400 # [60000ms]\n  for: 10000ms\n  for_free: 3m\n"
    )


def test_a_real_prometheus_scrapes_every_daemon_of_a_cluster(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "uvloop", nodes=2)
    try:
        cluster.start()
        with Prometheus(tmp_path / "prometheus", targets_of(cluster)) as prometheus:
            prometheus.wait_scraped()
            assert set(prometheus.targets().values()) == {"up"}
            up = prometheus.query('hsm_proxy_node_state{state="up"}')
            assert {(row.labels["node"], row.value) for row in up} == {("node-1", 1.0), ("node-2", 1.0)}
    finally:
        cluster.stop()
