"""The wheel: nothing fires early, all of it fires at most one slot late."""

from hypothesis import given
from hypothesis import strategies as st

from hsm_wire.frames import Frame
from hsm_wire.messages import Bind
from proxy.core.parties import Client, Owed, Request
from proxy.core.principals import Bound
from proxy.core.requests.deadlines import SLOT_S, DeadlineWheel

CLIENT = Client(lambda _raw: None, Bound(Bind(1, "spiffe://t/client/c", 1, ["use"], b"", 0)))


def request(deadline=0.0):
    return Request(CLIENT, Frame(3, 0, 1, 0, 0, 0, 0, 0, b""), 0.0, deadline)


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


def test_an_entry_filed_again_leaves_its_old_time():
    wheel = DeadlineWheel(0.0)
    entry = request()
    wheel.file(entry, 1.0)
    wheel.file(entry, 3.0)
    assert wheel.due(2.0) == []
    assert wheel.due(3.0 + 2 * SLOT_S) == [entry]
    assert wheel.due(9.0) == []


def test_entries_of_a_slot_fire_in_the_order_in_which_they_were_filed():
    wheel = DeadlineWheel(0.0)
    entries = [request() for _ in range(20)]
    for entry in entries:
        wheel.file(entry, 1.0)
    assert wheel.due(2.0) == entries


def test_a_long_jump_of_the_clock_fires_all_in_order_of_their_times():
    wheel = DeadlineWheel(0.0)
    entries = {at: request() for at in (500.0, 20.0, 300.0)}
    for at, entry in entries.items():
        wheel.file(entry, at)
    assert wheel.due(100_000.0) == [entries[20.0], entries[300.0], entries[500.0]]


def test_a_clock_that_stands_still_or_goes_back_fires_nothing_twice():
    wheel = DeadlineWheel(10.0)
    entry = request()
    wheel.file(entry, 10.1)
    assert wheel.due(11.0) == [entry]
    assert wheel.due(11.0) == []
    assert wheel.due(5.0) == []
    wheel.file(entry, 5.1)
    assert wheel.due(11.0 + 2 * SLOT_S) == [entry]


def test_an_answer_that_is_owed_is_kept_beside_requests(world):
    wheel = DeadlineWheel(0.0)
    client, _ = world.client()
    world.ask(client, 1)
    waiting = client.in_flight[1]
    owed = Owed(waiting, waiting.link)
    wheel.file(owed, 1.0)
    assert wheel.due(2.0) == [owed]
    assert owed.slot is None
