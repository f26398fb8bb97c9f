"""Rates, shares and percentiles of the last ten seconds."""

import random

import pytest

from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from proxy.core.counters import DURATION_BOUNDS_S, Counters
from proxy.core.nodes.node_table import Node, NodeTable
from proxy.core.reporting.rates import SAMPLE_S, WINDOW_S, Flow, Rates, quantile_ms
from proxy.core.settings import Settings

SIGN = int(Opcode.SIGN)


class Scene:
    def __init__(self):
        self.now = 100.0
        self.counters = Counters()
        self.nodes = [Node(name, "s", 1, [("a", "h:1")]) for name in ("n1", "n2")]
        self.table = NodeTable(self.nodes, Settings(), self.now)
        self.rates = Rates(self.counters, self.table, self.now)

    def pass_time(self, seconds, per_second=0, took_s=0.0012):
        """Let time go by in the ticker's steps; the first node gives three answers of four."""
        for _ in range(int(seconds / SAMPLE_S)):
            for number in range(int(per_second * SAMPLE_S)):
                self.answer(self.nodes[number % 4 == 3], took_s)
            self.now += SAMPLE_S
            self.rates.tick(self.now)
        return self.rates.traffic(self.now)

    def answer(self, node, took_s=0.0012, status=Status.OK):
        node.requests += 1
        node.duration_buckets[next(i for i, bound in enumerate(DURATION_BOUNDS_S) if took_s <= bound)] += 1
        self.counters.answered(SIGN, int(status), took_s)


@pytest.fixture
def scene():
    return Scene()


def test_rates_and_shares_are_those_of_the_last_ten_seconds(scene):
    traffic = scene.pass_time(30, per_second=80)
    assert traffic.all.per_second == pytest.approx(80, rel=0.01)
    assert traffic.nodes["n1"].per_second == pytest.approx(60, rel=0.01)
    assert traffic.shares == pytest.approx({"n1": 0.75, "n2": 0.25})
    assert 1.0 < traffic.all.p50_ms < 1.6
    assert 1.0 < traffic.nodes["n2"].p99_ms <= 1.6
    assert scene.pass_time(WINDOW_S + SAMPLE_S).all == Flow(0.0, None, None)


def test_what_is_older_than_the_window_is_forgotten(scene):
    scene.pass_time(100, per_second=8)
    assert len(scene.rates._notes) <= WINDOW_S / SAMPLE_S + 2


def test_without_answers_there_are_no_times_and_no_shares(scene):
    traffic = scene.pass_time(5)
    assert traffic.all == Flow(0.0, None, None) == traffic.nodes["n1"]
    assert traffic.shares == {"n1": 0.0, "n2": 0.0}


def test_a_proxy_that_has_just_started_does_not_boast(scene):
    scene.answer(scene.nodes[0])
    scene.now += 0.001
    assert scene.rates.traffic(scene.now).all.per_second == 1.0


def test_failures_and_overload_are_counted_apart_and_what_the_caller_wished_is_neither(scene):
    for status in (Status.UNAVAILABLE, Status.DEVICE_ERROR, Status.CANCELLED, Status.OVERLOADED, Status.KEY_NOT_FOUND):
        scene.counters.answered(SIGN, int(status), 0.001)
    scene.now += 2
    traffic = scene.rates.traffic(scene.now)
    assert (traffic.failed_per_second, traffic.overloaded_per_second, traffic.all.per_second) == (1.0, 0.5, 2.5)


def test_who_watches_the_cluster_is_no_load_of_it(scene):
    for opcode in (Opcode.STATUS, Opcode.EVENTS):
        scene.counters.answered(int(opcode), 0, None)
    scene.now += 2
    assert scene.rates.traffic(scene.now).all == Flow(0.0, None, None)


def test_a_node_that_comes_back_under_its_name_counts_anew(scene):
    scene.pass_time(5, per_second=8)
    new = [scene.nodes[1], Node("n1", "s", 1, [("a", "h:2")]), Node("n3", "s", 1, [("a", "h:3")])]
    scene.table.replace(new, scene.now)
    traffic = scene.rates.traffic(scene.now)
    assert (traffic.nodes["n1"], traffic.shares["n2"]) == (Flow(0.0, None, None), 1.0)


def test_a_quantile_lies_in_the_bucket_of_the_answer_that_it_is():
    chance = random.Random(1)
    for _ in range(50):
        times = sorted(chance.expovariate(50) for _ in range(chance.randint(1, 400)))
        buckets = [0] * (len(DURATION_BOUNDS_S) + 1)
        for each in times:
            buckets[next((i for i, bound in enumerate(DURATION_BOUNDS_S) if each <= bound), -1)] += 1
        for share in (0.5, 0.99):
            found = quantile_ms(buckets, share) / 1000
            right = times[max(0, -int(-share * len(times) // 1) - 1)]
            place = next(i for i, bound in enumerate(DURATION_BOUNDS_S) if right <= bound)
            lower = DURATION_BOUNDS_S[place - 1] if place else 0.0
            assert lower - 1e-5 <= found <= DURATION_BOUNDS_S[place] + 1e-5


def test_beyond_the_last_bound_the_quantile_is_that_bound_and_of_nothing_there_is_none():
    buckets = [0] * len(DURATION_BOUNDS_S) + [3]
    assert quantile_ms(buckets, 0.5) == 1000 * DURATION_BOUNDS_S[-1]
    assert quantile_ms([0] * len(buckets), 0.5) is None
