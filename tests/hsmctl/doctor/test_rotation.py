"""Nodes, paths and stores as the proxies see them."""

import pytest
from reports import answer, down, node, path, report

from hsm_wire.messages import NodeReport, StatusResult
from hsmctl.doctor.finding import Finding
from hsmctl.doctor.rotation import ADVICE, all_findings


def found(*reports: StatusResult) -> dict[str, list[Finding]]:
    return all_findings([answer(each, port=2410 + at) for at, each in enumerate(reports)])


def wrongs(check: str, *nodes: NodeReport) -> list[str]:
    return [each.wrong for each in found(report(*nodes))[check]]


def test_a_cluster_that_is_well_has_no_findings() -> None:
    assert found(report()) == {"nodes": [], "paths": [], "store": [], "load": [], "problems": []}


@pytest.mark.parametrize("state", [*ADVICE, "of a later version"])
def test_a_node_out_of_rotation_is_named_with_its_reason_and_what_to_do(state: str) -> None:
    [finding] = found(report(node("a"), node("c"), down("b", state=state)))["nodes"]
    assert finding.subject == "node b (seen by proxy-1)"
    assert finding.wrong == f"it is {state}: connection refused"
    assert finding.advice
    assert "{" not in finding.advice


def test_a_node_that_an_operator_took_out_is_a_warning_with_the_way_back() -> None:
    [finding] = found(report(node("a"), node("c"), node("b", administrative_state="drain")))["nodes"]
    assert (finding.severity, finding.advice) == ("warning", "when its work is done: `hsmctl node enable b`")


def test_what_stands_alone_is_said_first() -> None:
    assert wrongs("nodes", node("a"), down("b"))[0] == "a is the only node that serves"
    assert wrongs("nodes", down("a"), down("b"))[0] == "no node serves: requests fail"
    assert wrongs("nodes", node("a")) == []
    alone = wrongs("nodes", node("a"), node("b"), down("c", site="geneva"))
    assert alone[-1] == "only site zurich serves"


def test_a_node_that_waits_for_a_disaster_is_no_finding_and_does_not_count_as_one_that_is_lost() -> None:
    assert wrongs("nodes", node("a"), node("c"), node("b", state="standby", site="geneva", in_rotation=False)) == []


def test_nodes_that_are_stale_and_serve_are_named_but_the_cluster_is_not_called_lost() -> None:
    stale = [node(name, state="stale", reason="no contact to its store") for name in "ab"]
    assert wrongs("nodes", *stale) == ["it is stale: no contact to its store"] * 2


def test_a_single_path_left_is_said_and_a_node_without_any_is_said_once() -> None:
    assert wrongs("paths", node(paths=[path(), path("isp-b", "down")])) == [
        "path isp-b is down, isp-a is the only one left"
    ]
    assert wrongs("paths", node(paths=[path(), path("isp-b", "down"), path("isp-c")])) == ["path isp-b is down"]
    assert wrongs("paths", down("b")) == []


def test_stores_that_differ_and_requests_that_are_refused_are_said() -> None:
    seen = found(report(node(store_fault="it lacks 3 changes"), overloaded_per_second=12.0))
    assert [each.wrong for each in seen["store"]] == ["it lacks 3 changes"]
    assert [each.wrong for each in seen["load"]] == ["12 requests a second are refused as OVERLOADED"]


def test_what_a_proxy_calls_wrong_and_nobody_else_finds_is_said() -> None:
    reports = (report(problems=["the moon is full"], proxy=name) for name in ("p", "q"))
    assert [(each.subject, each.wrong) for each in found(*reports)["problems"]] == [("proxy p, q", "the moon is full")]


def test_what_several_proxies_see_alike_is_said_once_with_all_their_names() -> None:
    lost = [node("a"), node("c"), down("b")]
    same = found(report(*lost), report(*lost, proxy="proxy-2"))["nodes"]
    assert [each.subject for each in same] == ["node b (seen by proxy-1, proxy-2)"]
    differing = found(report(*lost), report(node("a"), node("c"), down("b", reason="no route"), proxy="proxy-2"))
    assert [each.subject for each in differing["nodes"]] == ["node b (seen by proxy-1)", "node b (seen by proxy-2)"]
