"""Rows of the table about many clients: a thousand at once, hostile ones, and one that wants everything."""

import asyncio
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench_process import BenchProcess
from certificates import Identity
from cluster import Cluster
from fault_queue import fault
from hostile import POISONOUS
from load import Load
from programs import Program, bound_to_parent, wait_until
from scale import RATE, bound_ms, seconds, times
from stand import Stand, metric_of

from hsm_client import Hsm, connect

pytestmark = pytest.mark.alone

KEY = "load"
MECHANISM = "ecdsa-sha256"
CROWD = 1_000
FILES = 16_384
SETTLE_S = 3.0
KINDS = ("garbage", "unread", "connections", "impatient", "generators")
UNREAD_S = 10.0
"""`limits.client_unread_s`: how long a client may leave its answers unread."""
TRIALS_APART_S = 1.0
BUSY = 4
"""Threads of the lowest priority that the test keeps busy: key generation of three nodes, and the hostile clients."""
LEAST_CONNECTIONS = 4_000
"""Of the hostile client's 5,000 that must have come to the proxy in its minute: fewer would be no flood."""

MakeCluster = Callable[..., Cluster]
MakeStand = Callable[..., Stand]


def allow_many_files() -> None:
    """A thousand clients and five thousand connections are more files than a shell's usual limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))


@contextmanager
def hostile(port: int, config: Path, identity: Identity | None, *kinds: str) -> Iterator[None]:
    """Run hostile clients of these kinds meanwhile."""
    files = ["-"] * 3 if identity is None else [identity.ca, identity.certificate, identity.key]
    program = str(Path(__file__).with_name("hostile.py"))
    arguments = [str(argument) for argument in (port, config, *files, *kinds)]
    # Niced: they stand for other machines, whose processors are not ours. What the cluster does for them is not niced.
    command = ["/usr/bin/env", "nice", "-n", "19", sys.executable, program, *arguments]
    process = subprocess.Popen(bound_to_parent(command, signal.SIGKILL), stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield
        assert process.poll() is None, "the hostile clients gave up"
    finally:
        process.kill()
        process.communicate()


@contextmanager
def busy_machine() -> Iterator[None]:
    """Keep the processors as busy as the hostile clients' test does, with work that the cluster has nothing to do with.

    Three nodes that generate keys, a proxy and both kinds of clients share this one machine, and its kernel lets a
    thread of the lowest priority go on for up to a tick (4 ms) while others wait. That is no cost of hostile clients.
    """
    command = bound_to_parent(
        ["/usr/bin/env", "nice", "-n", "19", sys.executable, "-c", "while True: pass"], signal.SIGKILL
    )
    processes = [subprocess.Popen(command) for _ in range(BUSY)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def wait_closed_unread(proxy: Program) -> None:
    """Wait until the one that never reads was closed: it was there for as long as it may be, but for a short run."""
    wait_until(
        lambda: metric_of(proxy, "hsm_proxy_clients_closed_unread_total") >= 1,
        lambda: f"the client that does not read is closed; the log ends:\n{proxy.log()[-2000:]}",
        UNREAD_S + SETTLE_S,
    )


def test_a_thousand_clients_that_reconnect_at_once(make_cluster: MakeCluster) -> None:
    allow_many_files()
    cluster = make_cluster()

    async def one(hsm: Hsm, taken: list[float]) -> None:
        begin = time.monotonic()
        await (await hsm.key(KEY)).sign(b"data", MECHANISM)
        taken.append(time.monotonic() - begin)

    async def main() -> list[float]:
        gate = asyncio.Semaphore(64)

        async def opened() -> Hsm:
            async with gate:
                hsm = connect(cluster.client_config, pool_size=1, timeout_s=20.0)
                return await hsm.open()

        crowd = await asyncio.gather(*(opened() for _ in range(CROWD)))
        taken: list[float] = []
        for _ in range(times(3)):
            await asyncio.to_thread(cluster.proxy.kill)
            # Started from this thread: a daemon ends with the thread that started it. Starting takes a moment only.
            cluster.proxy.start()
            await asyncio.to_thread(cluster.proxy.wait_ready)
            await asyncio.gather(*(one(hsm, taken) for hsm in crowd))
            await asyncio.sleep(TRIALS_APART_S)
        await asyncio.gather(*(hsm.close() for hsm in crowd))
        return taken

    taken = cluster.run(main)
    print(f"\n{len(taken)} first requests after the proxy's return, the slowest {max(taken):.3f} s")
    assert max(taken) <= bound_ms(5_000) / 1000


def test_hostile_clients_cost_the_others_nothing(make_cluster: MakeCluster) -> None:
    allow_many_files()
    cluster = make_cluster()
    with busy_machine(), BenchProcess(cluster.client_config, KEY, seconds(60, 10.0)) as before:
        pass
    # Their 5,000 connections begin at once; the others' run is as long as the time that these take, and more.
    with BenchProcess(cluster.client_config, KEY, seconds(60, 10.0) + SETTLE_S) as meanwhile:
        time.sleep(SETTLE_S)
        # An identity and a partition of their own.
        with hostile(cluster.proxy.port, cluster.config_of("other"), cluster.other, *KINDS):
            time.sleep(seconds(60, 10.0) - SETTLE_S)
            wait_closed_unread(cluster.proxy)
            names = ("hsm_proxy_clients", "hsm_proxy_clients_refused_total")
            came = sum(metric_of(cluster.proxy, name) for name in names)
    print(f"\nbefore {before.result}\nwith hostile clients {meanwhile.result}; {came:.0f} connections came")
    assert came >= LEAST_CONNECTIONS * seconds(60, 10.0) / 60
    assert before.errors == {}
    assert meanwhile.errors == {}
    assert meanwhile.latency_ms("p99") <= bound_ms(2 * before.latency_ms("p99"))


def test_a_hostile_client_whose_request_crashes_nodes_takes_two_and_costs_the_others_nothing(
    make_stand: MakeStand,
) -> None:
    stand = make_stand(nodes=4)
    for node in stand.nodes:
        node.arm(fault("crash", "SIGN", times=0, key_id=POISONOUS.hex()))
    # All as one identity, the stand has no TLS: the crowds that an identity's limits are for have the test above.
    with Load(stand.client_config, clients=64, rate=min(RATE, 400.0)) as load:
        time.sleep(SETTLE_S)
        with hostile(stand.proxy.port, stand.client_config, None, "poison", "garbage", "unread"):
            time.sleep(seconds(60, 10.0) - SETTLE_S)
            wait_closed_unread(stand.proxy)
    assert load.failed == {}, stand.proxy.log()[-3000:]
    assert len(load.latencies) > 0
    assert sum(not node.running for node in stand.nodes) <= 2
    assert stand.metric("hsm_proxy_poisoned_requests_total") >= 1, "nobody asked for what crashes a node"
