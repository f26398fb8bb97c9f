"""The client library is measured in each way of using it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.client_cost import FIGURES, MODES, SIGNATURE
from bench.native import Tools
from bench.peers import echo_nodes
from hsm_wire.messages import SignResult, encode_body


@pytest.mark.parametrize("mode", ["asyncio, 64 tasks", "8 threads"])
def test_requests_are_answered_and_their_cost_is_told(c_tools: Tools, tmp_path: Path, mode: str) -> None:
    answer = tmp_path / "answer"
    answer.write_bytes(encode_body(SignResult(SIGNATURE)))
    nodes = c_tools._replace(echo_node=(*c_tools.echo_node, "--answer", str(answer)))
    with echo_nodes(nodes, tmp_path) as running:
        command = [sys.executable, "-m", "bench.client_cost", mode, str(running.ports["node-1"]), "0.05"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert set(found) == set(FIGURES)
    assert all(value > 0 for value in found.values())


def test_each_way_says_how_many_requests_are_under_way() -> None:
    assert MODES["64 threads"] == 64
