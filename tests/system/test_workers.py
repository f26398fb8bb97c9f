"""A proxy with several workers, real nodes behind it, under load."""

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from bench_process import BenchProcess, hsmctl
from cluster import Cluster
from programs import START_DEADLINE_S, Program, get, wait_until

pytestmark = pytest.mark.alone

KEY = "load"
WARM_S = 2.0
OK = 200
LASTING_S = 20.0
"""Of the load: workers start anew meanwhile."""
SILENCE_MS = 5_000
"""Until a worker that stands still is ended (3 s without a word), and its clients have come to another one."""

MakeCluster = Callable[..., Cluster]


def status(proxy: Program) -> dict[str, Any]:
    """Return what `/status` says; nothing where the one that is asked stops meanwhile."""
    code, body = get(proxy.admin_port, "/status")
    return dict(json.loads(body)) if code == OK else {}


def rows(proxy: Program) -> list[dict[str, Any]]:
    """Return what it says of each worker; none of a proxy that is one process."""
    return list(status(proxy).get("workers", []))


def wait_for(proxy: Program, workers: int, *, but: tuple[int, ...] = ()) -> list[int]:
    """Wait until so many workers serve, none of them one of those; return their pids."""

    def serve() -> bool:
        proxy.reap()
        found = rows(proxy)
        pids = [row["pid"] for row in found if row["state"] == "serving" and row["pid"] not in but]
        return len(pids) == len(found) == workers

    wait_until(serve, lambda: f"{workers} workers; the log ends:\n{proxy.log()[-3000:]}", 2 * START_DEADLINE_S)
    return [row["pid"] for row in rows(proxy)]


def set_workers(proxy: Program, before: str, now: str) -> None:
    """Change the setting on disk."""
    text = proxy.config.read_text()
    assert before in text
    proxy.config.write_text(text.replace(before, now))


def test_a_killed_worker_costs_nothing(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(settings="workers = 2\n")
    pids = wait_for(cluster.proxy, 2)
    with BenchProcess(cluster.client_config, KEY, LASTING_S) as bench:
        time.sleep(WARM_S)
        os.kill(pids[0], signal.SIGKILL)
        wait_for(cluster.proxy, 2, but=(pids[0],))
        assert bench.running, "the load ended before the worker was back"
    bench.assert_survived(2_000, "kill -9 of one of two workers")


def test_a_worker_that_stands_still_is_replaced(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(settings="workers = 2\n")
    pids = wait_for(cluster.proxy, 2)
    with BenchProcess(cluster.client_config, KEY, LASTING_S) as bench:
        time.sleep(WARM_S)
        os.kill(pids[0], signal.SIGSTOP)
        wait_for(cluster.proxy, 2, but=(pids[0],))
        assert bench.running, "the load ended before the fault did"
    bench.assert_survived(SILENCE_MS, "SIGSTOP of one of two workers")
    assert "a worker is ended by force" in cluster.proxy.log()


def test_hot_restarts_with_workers_and_to_another_number_of_them(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(settings="workers = 2\n")
    proxy = cluster.proxy
    before = wait_for(proxy, 2)
    with BenchProcess(cluster.client_config, KEY, 2 * LASTING_S) as bench:
        time.sleep(WARM_S)
        set_workers(proxy, "workers = 2", "workers = 3")
        os.kill(status(proxy)["pid"], signal.SIGUSR2)
        after = wait_for(proxy, 3, but=tuple(before))
        time.sleep(WARM_S)
        set_workers(proxy, "workers = 3", "workers = 1")
        parent = status(proxy)["pid"]
        os.kill(parent, signal.SIGUSR2)
        served = (parent, *after)
        wait_until(lambda: status(proxy).get("pid", parent) not in served, lambda: "a proxy that is one process")
        time.sleep(WARM_S)
        assert bench.running, "the load ended before the restarts did"
    bench.assert_survived(2_000, "hot restarts: 2 workers, 3, 1")


def test_a_drain_is_for_all_workers(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(settings="workers = 3\n")
    wait_for(cluster.proxy, 3)
    operator = cluster.config_of("operator")
    hsmctl(operator, "node", "drain", "node-1")
    begun = time.monotonic()

    def in_rotation() -> int:
        page = get(cluster.proxy.admin_port, "/metrics")[1].decode()
        (line,) = [line for line in page.splitlines() if line.startswith('hsm_proxy_node_in_rotation{node="node-1"')]
        return int(float(line.rsplit(" ", 1)[1]))

    wait_until(lambda: in_rotation() == 0, lambda: "node-1 out of rotation", START_DEADLINE_S)
    took = time.monotonic() - begun
    with BenchProcess(cluster.client_config, KEY, 4.0) as bench:
        pass
    assert bench.errors == {}
    drained = next(node for node in cluster.proxy.status()["nodes"] if node["name"] == "node-1")
    before = drained["requests"]
    with BenchProcess(cluster.client_config, KEY, 4.0):
        pass
    drained = next(node for node in cluster.proxy.status()["nodes"] if node["name"] == "node-1")
    print(f"drained for all after {took:.2f} s")
    assert drained["requests"] == before, "no worker sends it anything"
