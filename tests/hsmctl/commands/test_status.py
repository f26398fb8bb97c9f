"""The state of a cluster, and its exit code."""

import json
import signal
import subprocess
import sys

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
    assert text.startswith("● SERVING   cluster dev, 2 of 2 nodes in rotation")
    assert [line.split()[:3] for line in text.splitlines() if line.startswith("  node-")] == [
        ["node-1", "●", "up"],
        ["node-2", "●", "up"],
    ]
    document = shell.json("status")
    assert [node["paths"][0]["state"] for node in document["nodes"]] == ["up", "up"]
    assert (document["health"], document["serves"]) == ("serving", True)


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
    assert "  └ it lacks 3 changes" in text.splitlines()
    fake_cluster.proxy.script.append(seen(fault, report("up")))
    assert fake_shell.json("status")["nodes"][0]["store_fault"] == "it lacks 3 changes"


def test_a_cluster_whose_nodes_are_all_outdated_serves(fake_shell, fake_cluster: FakeCluster) -> None:
    outdated = msgspec.structs.replace(report("stale", "late"), store_fault="late", outdated=True)
    other = msgspec.structs.replace(report("down"), name="node-2")
    fake_cluster.proxy.script.append(seen(outdated, other))
    assert "  └ late" in fake_shell.good("status").decode()
    fake_cluster.proxy.script.append(seen(report("stale", "no store"), other))
    assert fake_shell("status").exit_code == 3


def test_every_proxy_of_the_configuration_has_a_line_and_a_silent_one_does_not_stop_the_service(
    fake_shell, fake_cluster: FakeCluster
) -> None:
    both = f"{fake_cluster.proxy.address},127.0.0.1:1"
    fake_cluster.proxy.script.append(seen(report("up")))
    text = fake_shell.good("status", "--proxy", both).decode()
    assert text.startswith("▲ DEGRADED")
    assert "127.0.0.1:1  " in text
    fake_cluster.proxy.script.append(seen(report("up")))
    document = json.loads(fake_shell.good("status", "--proxy", both, "--json"))
    assert [proxy["answers"] for proxy in document["proxies"]] == [True, False]


def test_watching_looks_again_until_ctrl_c_and_ends_with_the_last_health(fake_shell, fake_cluster: FakeCluster) -> None:
    fake_cluster.proxy.keystore.status = lambda body: seen(report("up"))[1]
    command = [sys.executable, "-m", "hsmctl.cli", "status", "--watch", "0.2", "--json"]
    with subprocess.Popen([*command, "--config", str(fake_shell.config)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert [json.loads(process.stdout.readline())["health"] for _ in range(2)] == ["serving", "serving"]
        fake_cluster.proxy.keystore.status = lambda body: seen(report("down"))[1]
        while json.loads(process.stdout.readline())["health"] == "serving":
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 3


def test_watched_without_a_terminal_each_look_is_a_page(fake_shell, fake_cluster: FakeCluster) -> None:
    fake_cluster.proxy.keystore.status = lambda body: seen(report("up"))[1]
    command = [sys.executable, "-m", "hsmctl.cli", "status", "--config", str(fake_shell.config), "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("● SERVING")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
