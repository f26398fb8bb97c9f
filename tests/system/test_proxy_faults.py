"""Rows of the table whose fault is a proxy's, or every process's in turn."""

import itertools
import os
import signal
import time
from collections.abc import Callable

import pytest
from bench_process import BenchProcess
from cluster import Cluster
from process_table import pids_with
from programs import START_DEADLINE_S, Program, wait_until
from scale import seconds, times

pytestmark = pytest.mark.alone

KEY = "load"
WARM_S = 2.0

MakeCluster = Callable[..., Cluster]


def serving(proxy: Program) -> list[int]:
    """Return the processes of a proxy; during a hot restart there are two."""
    return pids_with(str(proxy.config))


def hot_restart(proxy: Program) -> None:
    """SIGUSR2, and wait until the successor serves and the old process has gone."""
    (old,) = serving(proxy)
    os.kill(old, signal.SIGUSR2)

    def succeeded() -> bool:
        proxy.reap()
        found = serving(proxy)
        return len(found) == 1 and found != [old]

    wait_until(succeeded, lambda: f"a successor; the log ends:\n{proxy.log()[-3000:]}", 2 * START_DEADLINE_S)


def test_a_proxy_killed_with_a_second_one_in_the_list(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(proxies=2)
    with BenchProcess(cluster.client_config, KEY, 10.0) as bench:
        time.sleep(WARM_S + 2.0)
        cluster.proxies[1].kill()
        time.sleep(WARM_S)
        assert bench.running
    bench.assert_survived(1_000, "kill -9 of one of two proxies")


def test_ten_hot_restarts_of_the_only_proxy(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    rounds = times(10)
    with BenchProcess(cluster.client_config, KEY, rounds * 6.0 + 6.0) as bench:
        for _ in range(rounds):
            time.sleep(WARM_S)
            hot_restart(cluster.proxy)
        assert bench.running, "the load ended before the restarts did"
    bench.assert_survived(250, f"hot restart of the proxy, {rounds} times")


def test_every_process_restarted_in_turn(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(proxies=2)
    lasting_s = seconds(300, 10.0)
    turns = itertools.cycle([*cluster.nodes, *cluster.proxies])
    restarts = 0
    with BenchProcess(cluster.client_config, KEY, lasting_s + 20.0) as bench:
        time.sleep(WARM_S)
        end = time.monotonic() + lasting_s
        while time.monotonic() < end:
            program = next(turns)
            # Five processes in turn, so that each is ended both ways.
            if restarts % 2:
                program.kill()
            else:
                assert program.terminate() == 0, f"{program.name}: {program.log()[-2000:]}"
            time.sleep(1.0)
            program.start()
            program.wait_ready()
            cluster.wait_in_rotation()
            restarts += 1
        assert bench.running
    bench.assert_survived(1_500, f"{restarts} restarts in {lasting_s:g} s")
