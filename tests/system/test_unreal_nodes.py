"""Rows of the table that need a node which misbehaves on purpose: fake nodes behind a real proxy."""

import time
from collections.abc import Callable

import pytest
from fault_queue import fault
from history import Bounds, Fault, check
from load import Load
from scale import RATE, bound_ms, seconds
from stand import Stand

pytestmark = pytest.mark.alone

WARM_S = 2.0
ATTEMPTS = 3
"""`retry.attempts`: nodes that the proxy sends one request to at most."""
OUT = ("down", "ejected", "blocked", "probing")
LOAD_RATE = min(RATE, 400.0)
"""Load and fake nodes are Python in this process's neighbourhood: more would measure them."""

MakeStand = Callable[..., Stand]


def strike(stand: Stand, begin: Callable[[], None], out_s: float | None, full_s: float = 30.0) -> Load:
    """Run load, let the fault begin, and assert how soon node-1 is out (None: nobody asks)."""
    with Load(stand.client_config, rate=LOAD_RATE) as load:
        time.sleep(WARM_S)
        began = time.monotonic()
        begin()
        load.history.faults.append(Fault("node-1", began, ejects=out_s is not None))
        if out_s is not None:
            while stand.states()["node-1"] not in OUT:
                assert time.monotonic() - began <= bound_ms(1000 * out_s) / 1000, stand.states()
                time.sleep(0.02)
            print(f"\nout after {time.monotonic() - began:.2f} s")
        time.sleep(seconds(full_s, 3.0))
    print(f"slowest {load.slowest_s * 1000:.0f} ms of {len(load.latencies)}")
    return load


def assert_sound(stand: Stand, load: Load, out_s: float | None = None) -> None:
    """Assert that no call failed and that the history is one that may be (`out_s`: how soon node-1 had to be out)."""
    assert load.failed == {}, stand.proxy.log()[-3000:]
    for node in stand.nodes:
        load.history.add_record(node.record())
    load.history.rotations = stand.rotations()
    eject_s = None if out_s is None else bound_ms(1000 * out_s) / 1000
    assert check(load.history, Bounds(eject_s=eject_s, most_executions=ATTEMPTS))[:5] == []


@pytest.mark.parametrize(
    ("action", "on", "out_s"),
    [("drop", "any", 3.0), ("drop", "REQUEST", 3.0)],
    ids=["answers nothing", "answers PING only"],
)
def test_a_node_that_takes_requests_and_never_works(make_stand: MakeStand, action: str, on: str, out_s: float) -> None:
    stand = make_stand()
    load = strike(stand, lambda: stand.nodes[0].arm(fault(action, on, times=0)), out_s)
    assert_sound(stand, load, out_s)
    assert load.slowest_s <= bound_ms(1_500) / 1000


def test_a_device_error_in_every_tenth_answer(make_stand: MakeStand) -> None:
    stand = make_stand()
    load = strike(stand, lambda: stand.nodes[0].arm(fault("device_error", "SIGN", times=0, every=10)), 3.0)
    assert_sound(stand, load, 3.0)
    assert load.slowest_s <= bound_ms(1_500) / 1000
    assert stand.metric("hsm_proxy_node_ejections_total", node="node-1", reason="errors") >= 1


def test_wrong_signatures_to_the_deep_check(make_stand: MakeStand) -> None:
    stand = make_stand()
    load = strike(stand, lambda: stand.nodes[0].arm(fault("wrong_signature", "CHECK", times=0)), 12.0)
    assert_sound(stand, load, 12.0)
    assert load.slowest_s <= bound_ms(1_500) / 1000
    assert stand.metric("hsm_proxy_node_ejections_total", node="node-1", reason="wrong_signature") >= 1


def test_a_node_ten_times_slower(make_stand: MakeStand) -> None:
    stand = make_stand()
    for node in stand.nodes:
        node.set(service_ms=3.0)
    with Load(stand.client_config, rate=LOAD_RATE) as load:
        time.sleep(seconds(30, 8.0))
        stand.nodes[0].set(slower=10.0)
        slow_from = time.monotonic()
        time.sleep(seconds(60, 40.0))  # What it gets before it is noticed must stay below a hundredth.
    assert_sound(stand, load)
    before, after = load.percentile(0.99, until=slow_from), load.percentile(0.99, since=slow_from)
    print(f"\np99 {before * 1000:.1f} ms before, {after * 1000:.1f} ms with the slow node")
    assert after <= 3 * before


def test_a_request_that_crashes_nodes(make_stand: MakeStand) -> None:
    stand = make_stand(nodes=4)
    poisonous = bytes(15) + b"\x01"
    for node in stand.nodes:
        node.arm(fault("crash", "SIGN", times=0, key_id=poisonous.hex()))
    with Load(stand.client_config, rate=LOAD_RATE) as load:
        time.sleep(WARM_S)
        with Load(stand.client_config, clients=1, rate=1, key_id=poisonous, caller="poisoner") as poisoner:
            time.sleep(seconds(30, 4.0))
    assert load.failed == {}
    assert set(poisoner.failed) == {"POISON"}
    assert sum(not node.running for node in stand.nodes) == 2
