"""What the logs of a real cluster tell: one slow request through all of them, and more of them without a restart."""

import asyncio
import contextlib
import json
import logging
import os
import re
import shlex
import signal
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from cluster import Cluster
from programs import Program, wait_until

from hsm_client import connect

pytestmark = pytest.mark.other_loop_in_system

HELD_S = 1.3
"""Above `slow_request_s` and below what the proxy calls blocked."""
SLOW = "a request was slow"


def lines(program: Program, event: str) -> list[dict[str, str]]:
    """Return the fields of the lines of that event, written in logfmt."""
    found = [dict(pair.split("=", 1) for pair in shlex.split(line)) for line in _of(program, "time=")]
    return [fields for fields in found if fields["event"] == event]


def objects(program: Program, event: str) -> list[dict[str, Any]]:
    """The same of those written in JSON."""
    return [fields for fields in map(json.loads, _of(program, "{")) if fields["event"] == event]


def _of(program: Program, beginning: str) -> list[str]:
    return [line for line in program.log().splitlines() if line.startswith(beginning)]


def test_one_slow_request_is_found_by_its_operation_id_in_all_three_logs(
    make_cluster: Callable[..., Cluster], caplog: pytest.LogCaptureFixture
) -> None:
    cluster = make_cluster(1)

    async def main() -> None:
        async with connect(cluster.client_config) as hsm:
            key = await hsm.generate_key("ec-p256", label="not in the log")
            with contextlib.closing(sqlite3.connect(cluster.store, isolation_level=None)) as store:
                store.execute("BEGIN IMMEDIATE")
                change = asyncio.ensure_future(key.update(label="nor this"))
                await asyncio.sleep(HELD_S)
                store.execute("ROLLBACK")
            await change

    with caplog.at_level(logging.INFO, "hsm_client"):
        cluster.run(main)
    (said,) = [text for text in caplog.messages if text.startswith(SLOW)]
    client = dict(re.findall(r"(\w+)=(\S+)", said))
    wait_until(lambda: client["operation_id"] in cluster.proxy.log(), cluster.proxy.log)  # it writes once a beat
    (proxy,) = [line for line in lines(cluster.proxy, SLOW) if line["operation_id"] == client["operation_id"]]
    (node,) = [line for line in lines(cluster.nodes[0], SLOW) if line["operation_id"] == client["operation_id"]]
    for line in (client, proxy, node):
        assert (line["operation"], line["status"]) == ("update_key", "OK")
    assert client["proxies"] == f"127.0.0.1:{cluster.proxy.port}"
    assert (proxy["level"], proxy["nodes"], proxy["attempts"]) == ("warning", "node-1", "1")
    # Each hop's time is within that of the hop before it, and the node says where it went: the store had it.
    assert float(client["seconds"]) + 0.001 >= float(proxy["seconds"]) >= float(proxy["at_node_s"])
    assert float(proxy["at_node_s"]) >= float(node["seconds"]) >= float(node["store_s"]) >= 1.0
    assert float(proxy["waited_s"]) + float(node["device_s"]) < 0.5
    for program in (cluster.proxy, *cluster.nodes):
        assert "not in the log" not in program.log()
        assert "nor this" not in program.log()


def test_a_line_for_each_request_can_be_had_and_ended_while_the_daemons_run(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(1)
    daemons = {cluster.proxy: "proxy.requests", cluster.nodes[0]: "hsm_node.requests"}
    files = {program: program.config.read_text() for program in daemons}

    def reload(program: Program, told: int, table: str) -> None:
        program.config.write_text(f"{files[program]}\n{table}")
        os.kill(program.pid, signal.SIGHUP)
        wait_until(lambda: program.log().count("the log's settings have changed") == told, program.log)

    async def use() -> None:
        async with connect(cluster.client_config) as hsm:
            key = await hsm.generate_key("ec-p256")
            await key.sign(b"data", "ecdsa-sha256")

    cluster.run(use)
    for program, logger in daemons.items():
        reload(program, 1, f'[log]\nformat = "json"\nlevels = {{ "{logger}" = "debug" }}\n')
    cluster.run(use)
    wait_until(lambda: "sign" in {line["operation"] for line in objects(cluster.proxy, "a request")}, cluster.proxy.log)
    for program, logger in daemons.items():
        assert lines(program, "a request") == []
        (change,) = objects(program, "the log's settings have changed")
        assert (change["format"], change["levels"]) == ("logfmt -> json", f"none -> {logger}=debug")
    at_proxy, at_node = (objects(program, "a request") for program in daemons)
    assert [line["operation"] for line in at_proxy] == ["generate_key", "sign"]
    ids = [line["operation_id"] for line in at_node]
    assert all(ids.count(line["operation_id"]) == 1 for line in at_proxy)
    for program in daemons:
        reload(program, 2, "")
    before = [objects(program, "a request") for program in daemons]
    cluster.run(use)
    assert [objects(program, "a request") for program in daemons] == before
