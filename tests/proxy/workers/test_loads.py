"""One report of several workers."""

import msgspec
import pytest
from worker_figures import buckets, load, report, traffic

from proxy.core.reporting.rates import Traffic, flow_of
from proxy.workers.loads import MAX_PROBLEMS, load_of, whole


def test_a_worker_without_others_reports_itself():
    own = report()
    assert whole(own, traffic(), []) is own


def test_what_there_is_more_of_is_added():
    found = whole(report(), traffic(), [load(), load(clients=5, rate=20.0)])
    assert (found.clients, found.waiting, found.in_flight) == (7, 9, 12)
    assert (found.requests_per_second, found.failed_per_second, found.overloaded_per_second) == (40.0, 1.5, 0.75)
    node = found.nodes[0]
    assert (node.in_flight, node.window, node.requests, node.failures) == (6, 24, 300, 3)
    assert node.requests_per_second == 15.0
    assert (node.state, node.name) == ("up", "n1")


def test_quantiles_are_those_of_all_answers_together():
    slow = load_of(report(), traffic(counts=(0, 0, 0, 0, 0, 0, 0, 0, 0, 90)), 0, 0)
    found = whole(report(), traffic(counts=(10,)), [slow])
    alone = whole(report(), traffic(counts=(10,)), [load_of(report(), traffic(counts=()), 0, 0)])
    assert found.p50_ms is not None
    assert alone.p50_ms is not None
    assert alone.p50_ms < 0.1 < 4 < found.p50_ms
    assert found.nodes[0].p50_ms == found.p50_ms


def test_shares_are_those_of_all_answers():
    other = load_of(report(), traffic(node_rate=0.0), 0, 0)
    one_sided = Traffic(traffic().all, 0.0, 0.0, {"n1": flow_of(30.0, buckets(3))}, {"n1": 1.0})
    found = whole(report(), one_sided, [other])
    assert [node.share for node in found.nodes] == [1.0, 0.0]
    still = whole(report(), Traffic(traffic().all, 0.0, 0.0, {}, {}), [other])
    assert [node.share for node in still.nodes] == [0.0, 0.0]


@pytest.mark.parametrize(("own", "expected"), [("serving", "degraded"), ("degraded", "degraded"), ("down", "down")])
def test_a_problem_of_one_worker_is_one_of_the_proxy(own, expected):
    found = whole(report(health=own), traffic(), [load(problems=["overload"]), load(problems=["overload"])])
    assert (found.problems, found.health) == (["overload"], expected)


def test_how_many_problems_are_shown_is_bounded():
    many = [load(problems=[f"{number}-{each}" for each in range(MAX_PROBLEMS)]) for number in range(3)]
    assert len(whole(report(), traffic(), many).problems) == MAX_PROBLEMS


def test_a_node_that_only_one_worker_knows_is_shown_as_it_sees_it():
    found = whole(report(), traffic(), [msgspec.structs.replace(load(), nodes=[])])
    assert found.nodes[0].requests == 100
