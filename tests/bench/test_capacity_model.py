"""The model of capacity: figures follow from their causes, and limits are those of the code."""

import pytest
from prometheus_client.core import Metric

from bench import scrape
from bench.capacity_model import (
    KNOBS,
    WORKER_FAMILIES,
    Installation,
    back_s,
    binding,
    links,
    loads,
    proxy_page,
    window,
)
from bench.costs import Costs
from bench.simulated_node import Work
from proxy.core.settings import Limits
from proxy.net.listener import pace_of
from proxy.workers.pages import worker_families
from proxy.workers.roster import Roster
from proxy.workers.sums import Sums

COSTS = Costs(
    "python",
    {("64-sync", 128, True): 50e-6, ("64x16", 128, True): 10e-6},
    0.002,
    {True: 40_960.0},
    {"P-256 signature": Work(100e-6), "RSA-2048 signature": Work(100e-6, 400e-6)},
    {
        "proxy_bytes": 60e6,
        "node_bytes": 80e6,
        "key_bytes": 2_500.0,
        "proxy_idle_cores": 0.01,
        "node_idle_cores": 0.02,
        "node_checked_cores": 0.021,
        "proxy_alone_s": 150e-6,
        "node_light_s": 200e-6,
        "proxy_files": 20,
        "node_files": 30,
        "proxy_threads": 3,
        "node_threads": 6,
        "node_series": 150,
        "node_page_bytes": 12_000,
    },
)
LARGE = Installation(10_000, 2.0, proxies=8, nodes=4)


def used(installation: Installation) -> dict[str, float]:
    return {load.what: load.used for load in loads(installation, COSTS)}


def test_the_work_is_that_of_the_day_on_which_a_proxy_and_a_node_are_lost() -> None:
    found = used(LARGE)
    assert found["connections to a proxy"] == pytest.approx(10_000 * 2 / 7)
    assert found["a proxy's requests"] == pytest.approx(20_000 / 7)
    assert 20_000 / 7 * 50e-6 < found["a proxy's processor"] < 20_000 / 7 * 150e-6
    assert found["a node's requests"] == pytest.approx(20_000 / 3)


def test_links_are_proxies_times_workers_times_nodes_times_paths_twice() -> None:
    assert links(LARGE, 4) == 8 * 4 * 2 * 2
    assert links(LARGE._replace(workers=8)) == 8 * 8 * 2 * 2


def test_eight_proxies_of_eight_workers_have_more_links_than_a_node_takes() -> None:
    found = {load.what: load for load in loads(LARGE._replace(workers=8), COSTS)}
    assert found["links to a node, a proxy in a hot restart"].share > 1.0


def test_what_is_asked_for_most_binds_first_and_has_its_knob() -> None:
    first = binding(loads(LARGE._replace(requests_per_s=10.0), COSTS))
    assert first.what == "a node's requests"
    assert "one more node" in first.knob


def test_everything_has_a_knob_and_every_knob_is_of_something() -> None:
    assert {load.what for load in loads(LARGE, COSTS)} == set(KNOBS)


@pytest.mark.parametrize("connections", [1, 4, 500, 1_000, 2_500])
def test_clients_are_back_when_the_pace_has_taken_them_all(connections: int) -> None:
    limits, taken, now = Limits(), 0, 0.0
    tokens = pace_of(limits).tokens()
    while taken < connections:
        now += tokens.wait_s(now)
        taken += tokens.take(now)
    assert back_s(connections, limits) == pytest.approx(now, abs=0.01)


def test_a_window_is_divided_among_proxies_and_their_workers() -> None:
    one = window(LARGE._replace(proxies=1, operation="RSA-2048 signature"), COSTS)
    assert one == int(2 * (1 + 5e-3 / 400e-6))
    assert window(LARGE._replace(operation="RSA-2048 signature"), COSTS) == one // 8
    assert window(LARGE._replace(operation="RSA-2048 signature", workers=4), COSTS) == 1


def test_a_page_has_more_series_with_more_nodes_and_partitions() -> None:
    found = scrape.series(proxy_page(LARGE))
    assert scrape.series(proxy_page(LARGE._replace(nodes=5))) > found
    assert scrape.series(proxy_page(LARGE._replace(partitions=9))) == found + 6


def test_a_worker_has_as_many_series_as_the_model_says() -> None:
    families: list[Metric] = list(worker_families(Roster(3), Sums("hsm_proxy")))
    assert sum(len(family.samples) for family in families) == 3 * WORKER_FAMILIES


def test_one_proxy_alone_has_all_the_work() -> None:
    found = used(Installation(100, 1.0, proxies=1, nodes=1, connections=1))
    assert found["connections to a proxy"] == 100
    assert found["until those of a lost proxy are back"] == 0


def test_a_client_of_two_proxies_has_one_connection_when_one_of_them_is_lost() -> None:
    found = used(Installation(100, 1.0, proxies=2, nodes=2))
    assert found["connections to a proxy"] == 100
    assert found["until those of a lost proxy are back"] == 0  # each waits for its own
