"""One greedy client, and one modest client of another partition: the modest one must not starve.

FACTOR is what we promise: its p99 with the greedy neighbour against that alone. A partition's turn comes after at
most one request of each other partition in the proxy's queue, but what runs on a node already runs to its end, and on
a small machine the greedy client also takes the processors' time.
"""

from collections.abc import Callable

from bench_process import BenchProcess, hsmctl
from cluster import Cluster
from scale import bound_ms, seconds

KEY = "load"
FACTOR = 10.0
FLOOR_MS = 50.0
"""Below this it is not starved, whatever it took alone: an idle machine answers in a millisecond."""
GREEDY_BYTES = 65_536
"""A body above 16 KiB is bulk."""


def test_a_greedy_client_does_not_starve_another_partition(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    hsmctl(cluster.client_config, "key", "generate", "--type", "aes-256", "--label", "greedy")
    modest = cluster.config_of("other")
    hsmctl(modest, "key", "generate", "--type", "ec-p256", "--label", "modest")
    lasting_s = seconds(30, 6.0)
    with BenchProcess(modest, "modest", lasting_s, clients=1, rate=20.0) as alone:
        pass
    greedy = BenchProcess(
        cluster.client_config,
        "greedy",
        lasting_s + 4.0,
        "--in-flight",
        "256",
        "--size",
        str(GREEDY_BYTES),
        clients=1,
        rate=None,
        mechanism="aes-gcm",
    )
    beside = BenchProcess(modest, "modest", lasting_s, clients=1, rate=20.0)
    with greedy, beside:
        pass
    factor = beside.latency_ms("p99") / alone.latency_ms("p99")
    print(f"\nalone {alone.result}\nbeside {beside.result}\ngreedy {greedy.result}\nfactor {factor:.1f}")
    assert alone.errors == beside.errors == {}
    assert beside.latency_ms("p99") <= bound_ms(max(FLOOR_MS, FACTOR * alone.latency_ms("p99")))
