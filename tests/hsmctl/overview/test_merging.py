"""One view from what several proxies say."""

import pytest
from reports import down, look, node, path, report, silent, site, view

from hsm_wire.messages import NodeReport
from hsmctl.overview.merging import gets_requests, health_of


def test_rates_are_added_up_and_times_are_those_of_the_slowest() -> None:
    second = report(
        node("zrh-1", requests_per_second=150.0, p50_ms=2.0, p99_ms=3.0, in_flight=1, requests=1, failures=2),
        requests_per_second=150.0, p50_ms=0.1, p99_ms=9.0, in_flight=1, waiting=5, clients=1,
        failed_per_second=2.0, overloaded_per_second=1.0,
    )  # fmt: skip
    merged = view(look(), look(second, port=2411))
    assert (merged.per_second, merged.p50_ms, merged.p99_ms) == (250.0, 0.8, 9.0)
    assert (merged.in_flight, merged.waiting, merged.clients) == (7, 5, 17)
    assert (merged.failed_per_second, merged.overloaded_per_second) == (2.0, 1.0)
    first = merged.nodes[0]
    assert (first.name, first.per_second, first.share, first.p50_ms, first.p99_ms) == ("zrh-1", 200.0, 0.8, 2.0, 4.25)
    assert (first.in_flight, first.window, first.requests, first.moved) == (4, 128, 1201, 2)


def test_the_figures_of_one_proxy_are_what_it_says() -> None:
    merged = view(look(report(node(share=0.42), requests_per_second=77.0)))
    assert (merged.nodes[0].share, merged.per_second, merged.health) == (0.42, 77.0, "serving")


def test_where_proxies_differ_the_worst_state_is_shown_and_how_many_see_better() -> None:
    merged = view(look(), look(report(down("zrh-1"), node("gva-1")), port=2411))
    first = merged.nodes[0]
    assert (first.state, first.reason, first.in_rotation, first.of) == ("down", "connection refused", 1, 2)
    assert [(each.uplink, each.up, each.of) for each in first.paths] == [("isp-a", 1, 2), ("isp-b", 1, 1)]
    assert merged.in_rotation == 2


def test_a_path_tells_why_it_is_down() -> None:
    merged = view(look(report(node(paths=[path(), path("isp-b", "down", "no route")]))))
    assert [(each.up, each.reason) for each in merged.nodes[0].paths] == [(1, ""), (0, "no route")]


@pytest.mark.parametrize(
    ("healths", "overall"),
    [
        (["serving"], "serving"),
        (["serving", "serving"], "serving"),
        (["serving", "degraded"], "degraded"),
        (["serving", "down"], "degraded"),
        (["down", "down"], "down"),
    ],
)
def test_the_cluster_is_down_only_where_it_is_for_all_proxies(healths: list[str], overall: str) -> None:
    merged = view(*(look(report(health=health), port=2410 + at) for at, health in enumerate(healths)))
    assert merged.health == overall
    assert merged.serves == (overall != "down")


def test_a_silent_proxy_degrades_and_none_that_answers_is_down() -> None:
    merged = view(look(), silent())
    assert (merged.health, merged.problems) == ("degraded", ("proxy 10.0.0.1:2411 does not answer",))
    nobody = view(silent())
    assert (nobody.health, nobody.cluster, nobody.nodes) == ("down", "", ())


def test_a_problem_that_all_proxies_tell_is_said_once_and_others_with_who_tells_them() -> None:
    first = report(problems=["zrh-1 is slow", "the store lags"])
    second = report(proxy="proxy-2", problems=["zrh-1 is slow"])
    merged = view(look(first), look(second, port=2411))
    assert merged.problems == ("zrh-1 is slow", "the store lags (seen by proxy-1)")
    assert view(look(first)).problems == ("zrh-1 is slow", "the store lags")


def test_sites_are_those_of_all_proxies_in_their_order() -> None:
    second = report(sites=[site("geneva"), site("alps")])
    assert [each.name for each in view(look(), look(second, port=2411)).sites] == ["zurich", "geneva", "alps"]


@pytest.mark.parametrize(
    ("nodes", "health"),
    [
        ([node(), node("b")], "serving"),
        ([node(), down("b")], "degraded"),
        ([down("a"), down("b")], "down"),
        ([], "down"),
    ],
)
def test_the_health_that_an_older_proxy_does_not_tell_follows_from_its_nodes(
    nodes: list[NodeReport], health: str
) -> None:
    assert health_of(report(*nodes or [down("none")], health="")) == health


def test_an_outdated_node_gets_requests_where_an_older_proxy_says_so_and_a_drained_one_does_not() -> None:
    assert gets_requests(node(state="stale", outdated=True, in_rotation=False))
    assert not gets_requests(node(state="stale", in_rotation=False))
    assert not gets_requests(node(administrative_state="drain", in_rotation=False))
