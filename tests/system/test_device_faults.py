"""Bad days of devices, at three nodes whose keys are in SoftHSM2 tokens behind the fault module: no request fails."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from bench_process import BenchProcess, hsmctl
from cluster import Cluster
from fault_module import FaultModule
from programs import Program, wait_until
from scale import seconds
from softhsm import SoftHsm

pytestmark = pytest.mark.alone

KEY = "load"
CLIENTS = 8
RATE = 30.0
"""What is tried is whether anything fails, on a machine that may be slow: not how much three tokens can."""
BACK_S = 60.0
"""A device is looked for every 15 s at least; then its node is tried, and let in slowly."""
WORKER = b"hsm_node.backends.pkcs11.worker"
LONGEST_S = 120.0
"""The load is ended when a fault is over; the longest one waits for a device to be looked for."""
AFTER_S = 3.0
"""How long the load goes on when the fault is over: what it left in flight fails by then."""
SLOWEST_MS = 3_000.0
"""A hanging call: its attempt is over after one second, and a second one may hang as well."""


class Devices(NamedTuple):
    """A cluster whose node N works behind module N."""

    cluster: Cluster
    modules: list[FaultModule]


@pytest.fixture
def devices(make_cluster_of: Callable[..., Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Devices:
    cluster = make_cluster_of()
    tokens = SoftHsm(tmp_path / "softhsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tokens.configuration))
    modules = []
    for node in cluster.nodes:
        modules.append(FaultModule(tmp_path, node.name))
        cluster.write_node(node, **tokens.settings_for(cluster, node, modules[-1].path))
    cluster.start()
    hsmctl(cluster.client_config, "key", "generate", "--type", "ec-p256", "--label", KEY)
    return Devices(cluster, modules)


@pytest.fixture
def make_cluster_of(tmp_path: Path) -> "Callable[..., Cluster]":
    """Make a cluster that is not started; it ends with the test."""
    made: list[Cluster] = []

    def make() -> Cluster:
        made.append(Cluster(tmp_path, "uvloop"))
        return made[-1]

    yield make  # type: ignore[misc]  # a fixture that ends what it made
    for cluster in made:
        cluster.stop()


def worker_of(node: Program) -> int:
    """Return the process that a node's module runs in."""
    [worker] = [
        int(child)
        for child in Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()
        if WORKER in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    return worker


def kill_node(devices: Devices) -> None:
    devices.cluster.nodes[0].kill()
    time.sleep(seconds(3))
    devices.cluster.nodes[0].start()
    devices.cluster.nodes[0].wait_ready()


def kill_worker(devices: Devices) -> None:
    os.kill(worker_of(devices.cluster.nodes[0]), signal.SIGKILL)


def stop_worker(devices: Devices) -> None:
    os.kill(worker_of(devices.cluster.nodes[0]), signal.SIGSTOP)
    time.sleep(seconds(8, 6))


def script(line: str, *, met_by: str = "", lasts_s: float = 5.0) -> Callable[[Devices], None]:
    """Return a fault that a script makes, for some seconds since a call met it."""
    function = met_by or line.split()[0]

    def fault(devices: Devices) -> None:
        module = devices.modules[0]
        before = module.calls(function)
        module.say(line)
        wait_until(lambda: module.calls(function) > before, lambda: f"a call that meets: {line}")
        time.sleep(seconds(lasts_s, 3))
        module.clear()

    return fault


def limit_sessions(devices: Devices) -> None:
    """The device gives four sessions when it is opened anew: the keeper's, the loop's and two others."""
    module = devices.modules[0]
    before = module.calls("C_OpenSession")
    module.say("C_OpenSession limit 4")
    kill_worker(devices)
    wait_until(lambda: module.calls("C_OpenSession") > before + 4, lambda: "a fifth session is asked for", BACK_S)
    time.sleep(seconds(5, 3))


FAULTS: dict[str, Callable[[Devices], None]] = {
    "kill -9 of a node": kill_node,
    "kill -9 of its module's process": kill_worker,
    "its module's process stands still": stop_worker,
    "C_Sign hangs": script("C_Sign hang", lasts_s=8),
    "the module crashes": script("C_Sign crash every 50"),
    "the token is removed and back": script("* return 0xE0", met_by="C_SignInit"),
    "the session is gone": script("C_SignInit return 0xB3 every 20"),
    "CKR_DEVICE_ERROR for every tenth call": script("C_Sign return 0x30 every 10"),
    "slow": script("C_Sign slow 300"),
    "throttled": script("C_Sign return 0x31 every 3"),
    "four sessions": limit_sessions,
}


@pytest.mark.parametrize("name", FAULTS)
def test_no_request_fails_whatever_happens_to_one_of_three_devices(devices: Devices, name: str) -> None:
    cluster = devices.cluster
    with BenchProcess(cluster.client_config, KEY, LONGEST_S, clients=CLIENTS, rate=RATE) as bench:
        time.sleep(1.0)
        FAULTS[name](devices)
        assert bench.running, "the load ended before the fault"
        time.sleep(seconds(5, AFTER_S))
        bench.end()
    bench.assert_survived(SLOWEST_MS, name)
    wait_until(
        lambda: all(state == "up" for state in cluster.states().values()),
        lambda: f"all nodes up again, not {cluster.states()}",
        BACK_S,
    )


def refused_start(devices: Devices, *lines: str) -> str:
    """Return what a node says that does not start with such a module; it says it at once and in one line."""
    node = devices.cluster.nodes[0]
    devices.modules[0].say(*lines)
    done = node.run_to_end()
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_pin_is_never_tried_twice_and_not_at_all_when_one_more_would_lock_the_token(devices: Devices) -> None:
    node, module = devices.cluster.nodes[0], devices.modules[0]
    assert node.terminate() == 0
    logins = module.calls("C_Login")
    assert "would lock the token" in refused_start(devices, "C_GetTokenInfo flags 0x20000", "C_Login slow 0")
    assert "has locked its user PIN" in refused_start(devices, "C_GetTokenInfo flags 0x40000", "C_Login slow 0")
    assert module.calls("C_Login") == logins, "nothing may be tried"
    assert "CKR_PIN_INCORRECT" in refused_start(devices, "C_Login return 0xA0")
    assert "has refused this PIN" in refused_start(devices, "C_Login slow 0")
    assert module.calls("C_Login") == logins + 1, "once"


def test_a_pin_that_is_refused_while_the_node_runs_locks_the_node_and_not_the_token(devices: Devices) -> None:
    node, module = devices.cluster.nodes[0], devices.modules[0]
    module.say("C_Login return 0xA4")
    os.kill(worker_of(node), signal.SIGKILL)
    wait_until(lambda: node.status()["state"] == "locked", lambda: str(node.status()), BACK_S)
    time.sleep(seconds(4))
    assert module.calls("C_Login") == 1
    assert devices.cluster.states()[node.name] == "locked"
