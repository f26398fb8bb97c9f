"""The wheel: nothing fires early, all of it fires at most one slot late."""

from hypothesis import given
from hypothesis import strategies as st

from hsm_wire.frames import Frame
from proxy.core.deadlines import SLOT_S, DeadlineWheel
from proxy.core.parties import Request


def request(deadline=0.0):
    return Request(None, Frame(3, 0, 1, 0, 0, 0, 0, 0, b""), 0.0, deadline)


@given(st.lists(st.floats(0, 50), max_size=30), st.lists(st.floats(0, 5), max_size=30))
def test_each_request_fires_once_after_its_time_and_at_most_a_slot_late(deadlines, steps):
    wheel = DeadlineWheel(0.0)
    waiting = {request(at) for at in deadlines}
    for entry in waiting:
        wheel.file(entry, entry.deadline)
    now = 0.0
    for step in [*steps, 60.0]:
        now += step
        for entry in wheel.due(now):
            waiting.remove(entry)
            assert entry.deadline <= now
        assert all(entry.deadline > now - 2 * SLOT_S for entry in waiting)
    assert not waiting


def test_a_dropped_request_never_fires():
    wheel = DeadlineWheel(0.0)
    entry = request()
    wheel.file(entry, 1.0)
    wheel.drop(entry)
    wheel.drop(entry)
    assert wheel.due(5.0) == []


def test_a_deadline_in_the_past_fires_at_the_next_beat():
    wheel = DeadlineWheel(100.0)
    entry = request()
    wheel.file(entry, 1.0)
    assert wheel.due(100.0) == []
    assert wheel.due(100.0 + 2 * SLOT_S) == [entry]
