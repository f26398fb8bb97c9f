"""The state of a cluster, and its exit code."""

import json

import msgspec
from fake_cluster import FakeCluster

from hsm_wire.cluster_messages import NodeReport, PathReport
from hsm_wire.messages import StatusResult
from hsm_wire.statuses import Status


def report(state: str, reason: str = "", administrative: str = "ready") -> NodeReport:
    return NodeReport("node-1", "local", state, administrative, reason, 1, 0, 8, 5, 0, [PathReport("loopback", state)])


def seen(*nodes: NodeReport) -> tuple[Status, StatusResult]:
    return Status.OK, StatusResult("proxy-1", "local", "test", "fake", 1, 2, list(nodes))


def test_a_cluster_that_serves_is_exit_code_0(shell) -> None:
    text = shell.good("status").decode()
    assert "node\tsite\tstate\tadministrative\trequests\tmoved\treason" in text
    assert "cluster dev" in text
    assert [line.split("\t")[2] for line in text.splitlines() if line.startswith("node-")] == ["up", "up"]
    document = shell.json("status")
    assert [node["paths"][0]["state"] for node in document["nodes"]] == ["up", "up"]


def test_one_node_is_enough_to_serve(fake_shell, fake_cluster: FakeCluster) -> None:
    fake_cluster.proxy.script.append(seen(report("ejected", "too slow"), report("up")))
    assert "too slow" in fake_shell.good("status").decode()


def test_a_cluster_in_which_no_node_serves_is_3_and_says_why(fake_shell, fake_cluster: FakeCluster) -> None:
    fake_cluster.proxy.script.append(seen(report("down", "connection refused")))
    done = fake_shell("status", "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["nodes"][0]["reason"] == "connection refused"
    assert "no node serves" in done.stderr


def test_a_cluster_whose_nodes_are_all_drained_does_not_serve(fake_shell, fake_cluster: FakeCluster) -> None:
    fake_cluster.proxy.script.append(seen(report("up", administrative="drain"), report("down")))
    done = fake_shell("status", "--json")
    assert done.exit_code == 3
    assert "hsmctl node enable" in done.stderr


def test_a_store_that_lacks_what_another_node_has_seen_is_named(fake_shell, fake_cluster: FakeCluster) -> None:
    fault = msgspec.structs.replace(
        report("stale", "it lacks 3 changes"), store_fault="it lacks 3 changes", outdated=True
    )
    fake_cluster.proxy.script.append(seen(fault, report("up")))
    text = fake_shell.good("status").decode()
    assert text.splitlines()[-1] == "store of node-1: it lacks 3 changes"
    fake_cluster.proxy.script.append(seen(fault, report("up")))
    assert fake_shell.json("status")["nodes"][0]["store_fault"] == "it lacks 3 changes"


def test_a_cluster_whose_nodes_are_all_outdated_serves(fake_shell, fake_cluster: FakeCluster) -> None:
    outdated = msgspec.structs.replace(report("stale", "late"), store_fault="late", outdated=True)
    fake_cluster.proxy.script.append(seen(outdated, report("down")))
    assert "store of node-1: late" in fake_shell.good("status").decode()
    fake_cluster.proxy.script.append(seen(report("stale", "no store"), report("down")))
    assert fake_shell("status").exit_code == 3
