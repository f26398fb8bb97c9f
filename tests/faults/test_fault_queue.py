"""Which frame meets which fault."""

from typing import Any

import pytest
from fault_queue import FaultError, FaultQueue, Occasion, fault

KNOWN: dict[str, dict[str, Any]] = {
    "pass": {},
    "drop": {},
    "latency": {"ms": 50.0, "jitter_ms": 0.0},
    "status": {"status": "DEVICE_ERROR"},
}


def sign(connection: int = 1, key_id: str = "", peer: str = "") -> Occasion:
    return Occasion(frozenset({"any", "REQUEST", "work", "SIGN"}), connection, peer, key_id)


PING = Occasion(frozenset({"any", "PING"}), 1)


@pytest.fixture
def queue() -> FaultQueue:
    return FaultQueue(KNOWN)


def actions(queue: FaultQueue, *occasions: Occasion) -> list[str]:
    taken = [queue.maybe_take(each) for each in occasions]
    return ["-" if each is None else each.action for each in taken]


def test_a_fault_is_used_up_by_the_frame_it_strikes(queue: FaultQueue) -> None:
    queue.arm(fault("drop", "SIGN"))
    assert actions(queue, PING, sign(), sign()) == ["-", "drop", "-"]
    assert len(queue) == 0


def test_faults_strike_in_their_order_and_pass_lets_one_through(queue: FaultQueue) -> None:
    for action in ("drop", "pass", "latency"):
        queue.arm({"action": action})
    assert actions(queue, sign(), PING, sign(), sign()) == ["drop", "pass", "latency", "-"]


def test_times_0_lasts_until_cleared(queue: FaultQueue) -> None:
    queue.arm(fault("drop", "work", times=0))
    assert actions(queue, sign(), sign(), PING, sign()) == ["drop", "drop", "-", "drop"]
    queue.clear()
    assert actions(queue, sign()) == ["-"]


def test_every_third_after_the_first_two(queue: FaultQueue) -> None:
    queue.arm(fault("drop", times=2, every=3, skip=2))
    assert actions(queue, *[sign()] * 10) == ["-", "-", "-", "-", "drop", "-", "-", "drop", "-", "-"]


def test_key_connection_and_peer_narrow_a_match(queue: FaultQueue) -> None:
    queue.arm(fault("drop", "SIGN", key_id="aa", connection=2, peer="proxy-1", times=0))
    mine = sign(2, "aa", "spiffe://test/proxy/proxy-1")
    assert actions(queue, sign(2, "aa", "x"), sign(1, "aa", "proxy-1"), sign(2, "bb", "proxy-1"), mine) == [
        "-", "-", "-", "drop",
    ]  # fmt: skip


def test_options_are_filled_in_from_the_defaults(queue: FaultQueue) -> None:
    queue.arm(fault("latency", ms=5.0))
    taken = queue.maybe_take(PING)
    assert taken is not None
    assert taken.options == {"ms": 5.0, "jitter_ms": 0.0}


@pytest.mark.parametrize(
    ("described", "reason"),
    [
        ({"action": "explode"}, "unknown action 'explode'; there are drop, latency"),
        (fault("latency", seconds=1), "latency has no option seconds; it takes jitter_ms, ms"),
        (fault("drop", every=0), "every is at least 1"),
        (fault("status", status="ODD"), "no status 'ODD'"),
        ({"action": "drop", "time": 1}, "not a fault: .*unknown field `time`"),
        ({}, "not a fault: .*required field `action`"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(queue: FaultQueue, described: dict[str, object], reason: str) -> None:
    with pytest.raises(FaultError, match=reason):
        queue.arm(described)
    assert len(queue) == 0
