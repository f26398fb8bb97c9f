"""A node that an operator drains, under load through two proxies: as it is wished, whoever is restarted meanwhile."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from load import Load
from programs import Program, wait_until

from hsm_client import sync

CHECK_S = 1.2
"""`health.interval_s` and its jitter: a proxy learns of the operator's wish with the next check."""
SLACK_S = 1.0
"""On top of it: two cores run two proxies, three nodes, the load and other tests."""
IN_FLIGHT_S = 0.3
"""What the node had when its proxy learned of it is answered within this time."""
WATCH_S = 1.5
CLIENTS = 16
RATE = 200.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Real nodes and two proxies; their event loop makes no difference to what an operator wishes."""
    made = Cluster(tmp_path, "uvloop", proxies=2)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def operate(cluster: Cluster, wish: str, node: str) -> None:
    """Say what is wished of a node, on the command line."""
    command = [sys.executable, "-m", "hsmctl.cli", "--config", str(cluster.config_of("operator")), "node", wish, node]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


def node_1(proxy: Program) -> tuple[str, int]:
    """Return what the proxy knows of the operator's wish for node-1, and how many requests it answered to it."""
    (node,) = (each for each in proxy.status()["nodes"] if each["name"] == "node-1")
    return node["administrative_state"], node["requests"]


def wait_wish(cluster: Cluster, wish: str) -> None:
    """Wait until both proxies know it, which is within a check's interval."""
    wait_until(
        lambda: {node_1(proxy)[0] for proxy in cluster.proxies} == {wish},
        lambda: f"node-1 in {wish}; there is {[node_1(proxy) for proxy in cluster.proxies]}",
        CHECK_S + SLACK_S,
    )


def served(cluster: Cluster) -> list[int]:
    """Return how many requests node-1 answered to each proxy."""
    return [node_1(proxy)[1] for proxy in cluster.proxies]


def test_a_drained_node_gets_nothing_new_from_any_proxy_nor_from_a_restarted_one_until_it_is_enabled(
    cluster: Cluster,
) -> None:
    with sync.connect(cluster.client_config) as hsm:
        key_id = bytes.fromhex(hsm.generate_key("ec-p256").id)

    def load() -> Load:
        return Load(cluster.client_config, clients=CLIENTS, rate=RATE, key_id=key_id, verify=False)

    with load() as before:
        wait_until(lambda: all(served(cluster)), lambda: f"node-1 works for both proxies: {served(cluster)}")
        operate(cluster, "drain", "node-1")
        wait_wish(cluster, "drain")
        time.sleep(IN_FLIGHT_S)
        drained = served(cluster)
        time.sleep(WATCH_S)
        assert served(cluster) == drained

        first, restarted = cluster.proxies
        assert restarted.terminate() == 0, restarted.log()[-2000:]
        restarted.start()
        restarted.wait_ready()
        cluster.wait_in_rotation()
        # Of its own clients none comes back by itself: they are well where they went.
        with load() as after:
            time.sleep(WATCH_S)
            assert node_1(first) == ("drain", drained[0])
            assert node_1(restarted) == ("drain", 0)
            assert sum(node["requests"] for node in restarted.status()["nodes"]) > 0
            operate(cluster, "enable", "node-1")
            wait_wish(cluster, "ready")
            wait_until(
                lambda: node_1(first)[1] > drained[0] and node_1(restarted)[1] > 0,
                lambda: f"node-1 works again: {served(cluster)}",
            )
    assert (before.failed, after.failed) == ({}, {}), "".join(proxy.log()[-2000:] for proxy in cluster.proxies)
