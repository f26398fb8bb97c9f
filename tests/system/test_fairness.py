"""One greedy client, 256 requests in flight, and one modest client of another partition, which must not starve.

What we promise: the modest one does not queue behind what the greedy one has waiting in the proxy. It waits for what
runs on the node that it is sent to, a few milliseconds with small requests. Large bodies keep a node longer, since its
loop carries them to their end: there the modest one waits about as long as the greedy one itself does, not longer.
"""

from collections.abc import Callable

import pytest
from bench_process import BenchProcess, hsmctl
from cluster import Cluster
from scale import bound_ms, seconds

pytestmark = pytest.mark.alone

FACTOR = 10.0
"""Of the modest client's p99 beside a greedy neighbour to its p99 alone, with small requests."""
FLOOR_MS = 50.0
"""Below this it is not starved, whatever it took alone: an idle machine answers in a millisecond."""
SMALL_BYTES = 1_024
BULK_BYTES = 65_536
"""A body above 16 KiB is bulk."""
BULK_FACTOR = 1.5
"""Of the modest client's p99 to the greedy one's own, with large bodies."""
MODEST_RATE = 5.0
"""Few enough that even at 200 ms each it does not queue behind itself."""

MakeCluster = Callable[..., Cluster]


def beside_greedy(cluster: Cluster, size: int) -> tuple[BenchProcess, BenchProcess, BenchProcess]:
    """Return the modest client alone, beside the greedy one, and the greedy one."""
    hsmctl(cluster.client_config, "key", "generate", "--type", "aes-256", "--label", "greedy")
    modest = cluster.config_of("other")
    hsmctl(modest, "key", "generate", "--type", "ec-p256", "--label", "modest")
    lasting_s = seconds(30, 10.0)
    with BenchProcess(modest, "modest", lasting_s, clients=1, rate=MODEST_RATE) as alone:
        pass
    options = ("--in-flight", "256", "--size", str(size))
    greedy = BenchProcess(
        cluster.client_config, "greedy", lasting_s + 4.0, *options, clients=1, rate=None, mechanism="aes-gcm"
    )
    beside = BenchProcess(modest, "modest", lasting_s, clients=1, rate=MODEST_RATE)
    with greedy, beside:
        pass
    factor = beside.latency_ms("p99") / alone.latency_ms("p99")
    print(f"\nalone {alone.result}\nbeside {beside.result}\ngreedy {greedy.result}\nfactor {factor:.1f}")
    assert alone.errors == beside.errors == {}
    return alone, beside, greedy


def test_a_greedy_client_does_not_starve_another_partition(make_cluster: MakeCluster) -> None:
    alone, beside, _ = beside_greedy(make_cluster(), SMALL_BYTES)
    assert beside.latency_ms("p99") <= bound_ms(max(FLOOR_MS, FACTOR * alone.latency_ms("p99")))


def test_a_greedy_client_with_large_bodies_does_not_make_others_wait_longer_than_itself(
    make_cluster: MakeCluster,
) -> None:
    _, beside, greedy = beside_greedy(make_cluster(), BULK_BYTES)
    assert beside.latency_ms("p99") <= bound_ms(BULK_FACTOR * greedy.latency_ms("p99"))
