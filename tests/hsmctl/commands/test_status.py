"""The state of a cluster, and its exit code."""

import json

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
