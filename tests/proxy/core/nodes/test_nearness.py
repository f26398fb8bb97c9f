"""Near sites first, as long as there are any."""

from collections import Counter
from math import inf

import pytest

from hsm_cluster.topology import Site
from hsm_wire import kinds
from proxy.core.nodes.nearness import distances

SITES = (
    Site("zurich", latitude=47.3769, longitude=8.5417),
    Site("bern", latitude=46.948, longitude=7.4474),
    Site("geneva", latitude=46.2044, longitude=6.1432),
    Site("unknown"),
)


def near(make_world, **more):
    """Return four nodes: two here (`a`), one near (`b`), one far away (`c`)."""
    world = make_world(weights=(1, 1, 1, 1), sites="aabc", prefer="near", **more)
    for node in world.nodes:
        node.distance = {"a": 0.0, "b": 95.0, "c": 224.0}[node.site]
    world.table.warm(world.now)
    return world


def spread(world, requests=600):
    """Return how many of these requests each node got."""
    client, peer = world.client()
    for request_id in range(1, requests + 1):
        world.ask(client, request_id)
        for node in world.holders():
            world.answer(node)
    assert len(peer.of(kinds.RESPONSE)) >= requests
    return Counter({node.name: node.requests for node in world.nodes if node.requests})


def test_distances_are_from_the_proxy_s_own_site():
    found = distances(SITES, "zurich")
    assert found["zurich"] == 0
    assert found["bern"] == pytest.approx(95.5, abs=1)
    assert found["geneva"] == pytest.approx(224, abs=2)
    assert found["unknown"] == inf
    assert distances(SITES, "unknown") == {"zurich": inf, "bern": inf, "geneva": inf, "unknown": 0.0}


def test_without_being_told_nothing_is_preferred(make_world):
    world = make_world(weights=(1, 1, 1, 1), sites="aabc")
    for at, node in enumerate(world.nodes):
        node.distance = float(at)
    world.table.warm(world.now)
    assert min(spread(world).values()) > 100


def test_all_requests_go_to_the_nearest_site_evenly(make_world):
    found = spread(near(make_world))
    assert set(found) == {"n0", "n1"}
    assert abs(found["n0"] - found["n1"]) < 100


def test_when_it_is_lost_the_next_one_serves_and_no_request_fails(make_world):
    world = near(make_world)
    world.lose(world.nodes[0])
    assert set(spread(world, 100)) == {"n1"}
    world.lose(world.nodes[1])
    assert set(spread(world, 100)) == {"n1", "n2"}
    world.lose(world.nodes[2])
    assert spread(world, 100)["n3"] == 100


def test_what_it_has_no_room_for_goes_farther(make_world):
    world = near(make_world, window=2)
    client, _ = world.client()
    for request_id in range(1, 9):
        world.ask(client, request_id)
    assert [node.in_flight for node in world.nodes] == [2, 2, 2, 2]


def test_a_site_that_comes_back_grows_into_its_share_again(make_world):
    world = near(make_world, slow_start_s=10.0)
    world.now += 60
    for node in world.nodes[:2]:
        world.lose(node)
    for node in world.nodes[:2]:
        world.bring_up(node)
    shares = {node.name: node.share for node in world.nodes}
    assert shares["n0"] == pytest.approx(0.1, abs=0.01)
    assert shares["n2"] + shares["n3"] == pytest.approx(1.8, abs=0.02)
    world.now += 10
    world.table.warm(world.now)
    assert world.nodes[0].share == 1.0
    assert world.nodes[2].share + world.nodes[3].share < 1e-6


def test_weights_hold_within_a_site(make_world):
    world = make_world(weights=(3, 1, 1), sites="aab", prefer="near")
    world.nodes[2].distance = 50.0
    world.table.warm(world.now)
    found = spread(world, 800)
    assert set(found) == {"n0", "n1"}
    assert 2.3 < found["n0"] / found["n1"] < 4.0


def test_without_any_node_nothing_happens(make_world):
    world = near(make_world)
    for node in world.nodes:
        world.lose(node)
    world.table.warm(world.now)
    assert world.table.total == 0
