"""Rows of the table whose fault is a real node's: real processes, signals, dropped packets, `hsmctl bench`."""

import os
import signal
import time
from collections.abc import Callable

import pytest
from bench_process import BenchProcess
from cluster import Cluster
from networks import Links
from programs import wait_until
from raw import RawConnection
from scale import bound_ms, seconds, times

from hsm_wire.kinds import Flag
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

pytestmark = pytest.mark.alone

KEY = "load"
SIGN = int(Opcode.SIGN)
WARM_S = 2.0
RESTART_S = 5.0

MakeCluster = Callable[..., Cluster]


def answered_at_once(cluster: Cluster) -> None:
    """What arrives while no node is there is answered UNAVAILABLE, not executed, soon (the bench times no failure)."""
    with RawConnection(cluster.proxy.port, cluster.app) as connection:
        for _ in range(10):
            asked = time.monotonic()
            answer = connection.request(SIGN, [bytes(16), 0, None, b""], timeout_ms=20_000)
            assert time.monotonic() - asked <= bound_ms(500) / 1000
            assert answer.status == Status.UNAVAILABLE
            assert answer.flags & Flag.NOT_EXECUTED


def test_a_node_killed_twenty_times(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    rounds = times(20)
    node = cluster.nodes[0]
    # A round: the load warm again, five seconds dead, a start.
    with BenchProcess(cluster.client_config, KEY, rounds * (WARM_S + RESTART_S + 2.0) + 5.0) as bench:
        for _ in range(rounds):
            time.sleep(WARM_S)
            node.kill()
            time.sleep(RESTART_S)
            node.start()
            node.wait_ready()
        assert bench.running, "the load ended before the faults did"
    bench.assert_survived(250, f"kill -9 of a node, {rounds} times")
    assert cluster.states()[node.name] == "up"


def test_a_node_stopped_for_half_a_minute_and_on_again(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    node = cluster.nodes[0]
    stopped_s = seconds(30, 3.0)
    with BenchProcess(cluster.client_config, KEY, stopped_s + 15.0) as bench:
        time.sleep(WARM_S)
        os.kill(node.pid, signal.SIGSTOP)
        time.sleep(stopped_s)
        assert cluster.states()[node.name] == "down"
        os.kill(node.pid, signal.SIGCONT)
        cluster.wait_in_rotation()
        assert bench.running
    bench.assert_survived(1_500, f"SIGSTOP for {stopped_s:g} s")


def test_packets_to_a_node_dropped_for_half_a_minute(make_cluster: MakeCluster, links: list[Links]) -> None:
    cluster = make_cluster(dropping=1)
    dropped_s = seconds(30, 3.0)
    with BenchProcess(cluster.client_config, KEY, dropped_s + 20.0) as bench:
        time.sleep(WARM_S)
        links[0].drop(0)
        time.sleep(dropped_s)
        assert cluster.states()["node-1"] == "down"
        links[0].restore(0)
        cluster.wait_in_rotation()
        assert bench.running
    bench.assert_survived(1_500, f"packets dropped for {dropped_s:g} s, {type(links[0]).__name__}")


def test_one_of_two_paths_dropped(make_cluster: MakeCluster, links: list[Links]) -> None:
    cluster = make_cluster(dropping=2)
    dropped_s = seconds(30, 3.0)
    seen: set[str] = set()
    with BenchProcess(cluster.client_config, KEY, dropped_s + 10.0) as bench:
        time.sleep(WARM_S)
        links[0].drop(0)
        end = time.monotonic() + dropped_s
        while time.monotonic() < end:
            seen.add(cluster.states()["node-1"])
            time.sleep(0.1)
        links[0].restore(0)
        assert bench.running
    bench.assert_survived(1_000, f"one of two paths dropped for {dropped_s:g} s, {type(links[0]).__name__}")
    assert seen == {"up"}


def test_all_nodes_dead_for_ten_seconds(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    dead_s = seconds(10, 3.0)
    options = {"clients": 32, "rate": 100.0}
    patient = BenchProcess(cluster.client_config, KEY, dead_s + 14.0, "--timeout", "20", **options)  # type: ignore[arg-type]
    impatient = BenchProcess(cluster.client_config, KEY, dead_s + 14.0, "--no-retry", **options)  # type: ignore[arg-type]
    with patient, impatient:
        time.sleep(WARM_S + 2.0)
        for node in cluster.nodes:
            node.kill()
        time.sleep(0.5)
        answered_at_once(cluster)
        time.sleep(dead_s)
        before = cluster.node_requests()["node-2"]
        cluster.nodes[1].start()
        cluster.nodes[1].wait_ready()
        returned = time.monotonic()
        wait_until(lambda: "up" in cluster.states().values(), lambda: "a node in rotation", bound_ms(2_000) / 1000)
        # Up: and it serves.
        wait_until(lambda: cluster.node_requests()["node-2"] > before, lambda: f"more than {before} requests", 2.0)
        print(f"\nservice {time.monotonic() - returned:.3f} s after the first node's return")
    print(f"patient: {patient.result}; impatient: {impatient.result}")
    assert patient.errors == {}
    assert set(impatient.errors) == {"UNAVAILABLE"}
    assert impatient.latency_ms("max") <= bound_ms(500)
