"""A minute of what `make soak STORE=etcd` does for long: keys under chaos, and what clients saw of them."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scale import SLACK, seconds
from site_networks import namespaces_lack
from store_chaos import RATE, Chaos
from store_cluster import StoreCluster

pytestmark = pytest.mark.alone

LASTING_S = 60.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[StoreCluster]:
    """Three sites that serve."""
    if lack := namespaces_lack():
        pytest.skip(lack)
    made = StoreCluster(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_a_minute_of_chaos_breaks_no_promise_about_any_key(
    cluster: StoreCluster, count: Callable[[str, int], None]
) -> None:
    chaos = Chaos(cluster, secrets.randbits(32), rate=RATE / SLACK)
    chaos.run(seconds(LASTING_S, 10.0))
    chaos.report()
    count("keys made under chaos", len(chaos.clients.keys))
    count("answers about keys under chaos", len(chaos.clients.history.seen))
    assert chaos.violations() == []
    assert sum(chaos.faults.done.values()) > 1
