"""The draw: by weight, below the window, and not where the request was already."""

import random
from collections import Counter

import pytest

from proxy.core.requests.balancer import Balancer


def draws(world, count, seed=3, tried=()):
    balancer = Balancer(world.table, random.Random(seed))
    return Counter(node.name if node else None for node in (balancer.maybe_node(tried) for _ in range(count)))


def chi_square(counts, weights):
    total = sum(counts.values())
    expected = {name: total * weight / sum(weights.values()) for name, weight in weights.items()}
    return sum((counts[name] - share) ** 2 / share for name, share in expected.items())


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 2, 5), (10, 1, 1)])
def test_nodes_are_drawn_by_weight(make_world, weights):
    counts = draws(make_world(weights=weights), 30_000)
    assert chi_square(counts, {f"n{i}": weight for i, weight in enumerate(weights)}) < 13.82


def test_a_node_at_its_window_leaves_the_others_their_shares(make_world):
    world = make_world(weights=(1, 1, 3))
    world.nodes[0].in_flight = world.nodes[0].window
    counts = draws(world, 30_000)
    assert counts["n0"] == 0
    assert chi_square(counts, {"n1": 1, "n2": 3}) < 10.83


def test_a_node_that_was_tried_is_not_drawn(world):
    assert draws(world, 100, tried=world.nodes[:2]) == {"n2": 100}
    assert draws(world, 10, tried=world.nodes) == {None: 10}


def test_no_node_in_rotation_is_no_draw(world):
    for node in world.nodes:
        world.lose(node)
    assert draws(world, 5) == {None: 5}


def test_a_node_at_its_window_still_counts_as_untried(world):
    balancer = Balancer(world.table, random.Random(1))
    world.nodes[2].in_flight = world.nodes[2].window
    assert balancer.has_untried(world.nodes[:2])
    assert not balancer.has_untried(world.nodes)


def test_a_draw_at_the_very_end_of_the_range_is_the_last_node(world):
    class End:
        def random(self):
            return 1.0

    assert Balancer(world.table, End()).maybe_node() is world.nodes[-1]


def test_the_draw_goes_by_the_share_of_the_moment_and_not_by_the_weight(make_world):
    world = make_world(weights=(1, 1, 4))
    world.nodes[0].slowness = 0.5
    world.table.warm(world.now)
    counts = draws(world, 30_000)
    assert chi_square(counts, {"n0": 0.5, "n1": 1, "n2": 4}) < 13.82


def test_a_node_that_starts_slowly_gets_a_tenth_of_another_s_requests(world):
    world.now += 60
    world.lose(world.nodes[0])
    world.bring_up(world.nodes[0])
    counts = draws(world, 30_000)
    assert chi_square(counts, {"n0": 0.1, "n1": 1, "n2": 1}) < 13.82


def test_shares_hold_among_the_nodes_that_are_left(world):
    world.nodes[0].slowness = 0.25
    world.table.warm(world.now)
    world.nodes[1].in_flight = world.nodes[1].window
    counts = draws(world, 30_000)
    assert chi_square(counts, {"n0": 0.25, "n2": 1}) < 10.83


def test_a_draw_among_given_nodes_keeps_their_shares_and_windows(world):
    balancer = Balancer(world.table, random.Random(4))
    world.nodes[0].slowness = 0.2
    world.table.warm(world.now)
    counts = Counter(balancer.maybe_among(world.nodes[:2]).name for _ in range(30_000))
    assert chi_square(counts, {"n0": 0.2, "n1": 1}) < 10.83
    world.nodes[0].in_flight = world.nodes[0].window
    assert balancer.maybe_among(world.nodes[:1]) is None
    assert balancer.maybe_among([]) is None
