"""What the operator wants of a node, against a real cluster; each test leaves every node ready."""

import time


def wanted(shell) -> dict[str, str]:
    return {node["name"]: node["administrative_state"] for node in shell.json("status")["nodes"]}


def wait_wanted(shell, expected: dict[str, str]) -> None:
    end = time.monotonic() + 5
    while wanted(shell) != expected:
        assert time.monotonic() < end, wanted(shell)
        time.sleep(0.05)


def test_a_drained_node_gets_nothing_until_it_is_enabled(shell) -> None:
    try:
        assert "no new requests" in shell.good("node", "drain", "node-1").decode()
        wait_wanted(shell, {"node-1": "drain", "node-2": "ready"})
        before = {node["name"]: node["requests"] for node in shell.json("status")["nodes"]}
        for _ in range(20):
            shell.good("random", "8")
        after = {node["name"]: node["requests"] for node in shell.json("status")["nodes"]}
        assert after["node-1"] == before["node-1"]
        assert after["node-2"] > before["node-2"]
    finally:
        assert shell.json("node", "enable", "node-1") == {"node": "node-1", "administrative_state": "ready"}
    wait_wanted(shell, {"node-1": "ready", "node-2": "ready"})


def test_maintain_is_said_in_the_status(shell) -> None:
    try:
        assert shell.json("node", "maintain", "node-2")["administrative_state"] == "maintain"
        wait_wanted(shell, {"node-1": "ready", "node-2": "maintain"})
    finally:
        shell.good("node", "enable", "node-2")
    wait_wanted(shell, {"node-1": "ready", "node-2": "ready"})


def test_an_unknown_node_is_one_line_that_names_those_there_are(shell) -> None:
    assert "node-1, node-2" in shell.bad(1, "node", "drain", "node-9")


def test_a_node_in_the_configuration_is_not_removed_and_of_another_one_there_is_nothing(shell) -> None:
    assert "node-1 is in cluster.toml; take it out" in shell.bad(1, "node", "remove", "node-1")
    assert "node-9: nothing to remove" in shell.good("node", "remove", "node-9").decode()
    removed = {"node": "node-9", "was_registered": False, "registered": []}
    assert shell.json("node", "remove", "node-9") == removed
