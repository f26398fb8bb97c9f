"""Quotas hold over two proxies and a restart of each, and of a node, with real processes."""

from pathlib import Path

import pytest
from cluster import Cluster
from quota_clients import DAY_LIMIT, LIMIT_PER_MINUTE, sign, with_quotas

from hsm_client import connect

BEYOND = 2 * 600
"""What the cluster of this test does in two seconds at most, on the fastest machine."""


@pytest.fixture
def cluster(tmp_path: Path):
    made = with_quotas(Cluster(tmp_path, "uvloop", 2, proxies=2), f"signatures_per_minute = {LIMIT_PER_MINUTE}")
    try:
        made.start()
        yield made
    finally:
        made.stop()


def restart(cluster: Cluster, program) -> None:
    program.kill()
    program.start()
    program.wait_ready()
    cluster.wait_in_rotation()


def test_a_partition_signs_its_day_s_share_and_no_more_whoever_is_asked_and_restarted(cluster: Cluster) -> None:
    one, two = cluster.proxies

    async def make_key() -> None:
        async with connect(cluster.client_config) as hsm:
            await hsm.generate_key("ec-p256", label="k")

    def signed(proxy, most: int) -> tuple[int, float]:
        return cluster.run(lambda: sign(cluster.client_config, proxy, "k", most))

    cluster.run(make_key)
    made = signed(one, 700)[0]
    assert made == 700
    restart(cluster, one)
    made += signed(two, 500)[0]
    assert made == 1200
    restart(cluster, cluster.nodes[0])
    restart(cluster, two)
    more, wait_s = signed(two, 10 * BEYOND)
    made += more
    assert DAY_LIMIT <= made <= DAY_LIMIT + BEYOND
    assert wait_s >= 1
    restart(cluster, one)
    again, wait_s = signed(one, 1)
    assert again == 0
    assert 23 * 3600 < wait_s < 25 * 3600
