"""Clients that hold memory or a place for nothing: each within its limit, all together within theirs."""

import itertools

import pytest

from proxy.core.counters import Counters
from proxy.core.requests.deadlines import SLOT_S
from proxy.core.settings import Limits, Settings
from proxy.net.departures import Departures
from proxy.net.housekeeping import LOOK_S, SLICE, Housekeeping

LIMITS = Limits(frame_s=10, client_unread_s=5, idle_s=100, unfinished_bytes=65_536, unread_bytes=65_536)


class Guest:
    """A client that holds what the test says."""

    client = None

    def __init__(self, name="", *, unfinished_s=0.0, unread_s=0.0, idle_s=0.0, unfinished=0, unread=0):
        self.peer = name
        self.times = (unfinished_s, unread_s, idle_s)
        self.unfinished_bytes = unfinished
        self.unread_bytes = unread
        self.gone = False

    def unfinished_for(self, now):
        return self.times[0]

    def unread_for(self, now):
        return self.times[1]

    def idle_for(self, now):
        return self.times[2]

    def abort(self):
        self.gone = True


@pytest.fixture
def house():
    return Housekeeping(Settings(LIMITS), Counters(), Departures())


def test_who_is_within_the_limits_is_left_alone(house):
    guests = [Guest(unfinished_s=10, unread_s=5, idle_s=100, unfinished=30_000, unread=30_000) for _ in range(2)]
    house.tick(guests, 1.0)
    assert not any(guest.gone for guest in guests)
    assert len(house._departures) == 0


def test_a_frame_without_an_end_and_answers_that_are_not_read_close_their_client(house):
    slow, deaf = Guest(unfinished_s=10.1), Guest(unread_s=5.1)
    house.tick([slow, deaf], 1.0)
    assert (slow.gone, deaf.gone) == (True, True)
    assert (house._counters.clients_closed_unfinished, house._counters.clients_closed_unread) == (1, 1)


def test_who_asks_for_nothing_leaves_in_its_turn(house):
    idle = Guest(idle_s=101)
    house.tick([idle], 1.0)
    house.tick([idle], 2.0)
    assert (idle.gone, len(house._departures), house._counters.clients_closed_idle) == (False, 1, 1)


@pytest.mark.parametrize("what", ["unfinished", "unread"])
def test_of_all_together_those_that_hold_most_are_closed_and_no_more_than_needed(house, what):
    guests = [Guest(str(size), **{what: size}) for size in (1_000, 40_000, 30_000, 2_000)]
    house.tick(guests, 1.0)
    assert [guest.peer for guest in guests if guest.gone] == ["40000"]
    counters = house._counters
    assert (counters.clients_closed_unfinished, counters.clients_closed_unread) == (
        (1, 0) if what == "unfinished" else (0, 1)
    )


def test_it_looks_now_and_then_only(house):
    house.tick([], 1.0)
    slow = Guest(unfinished_s=11)
    house.tick([slow], 1.0 + LOOK_S / 2)
    assert not slow.gone
    house.tick([slow], 1.0 + LOOK_S)
    assert slow.gone


def test_of_thousands_some_are_looked_at_in_each_beat_and_all_in_the_time_for_it(house):
    guests = {Guest(unread_s=6) for _ in range(40 * SLICE)}
    left = set(guests)
    gone = []
    for beat in range(round(LOOK_S / SLOT_S)):
        house.tick(left, 1.0 + beat * SLOT_S)
        gone.append(sum(guest.gone for guest in guests))
        left = {guest for guest in guests if not guest.gone}
    assert gone[0] == 2 * SLICE
    assert max(after - before for before, after in itertools.pairwise(gone)) == 2 * SLICE
    assert gone[-1] == len(guests)


def test_who_left_before_its_turn_is_not_looked_at(house):
    early, late = [Guest(unread_s=6) for _ in range(SLICE)], [Guest(unread_s=6) for _ in range(SLICE)]
    house.tick([*early, *late], 1.0)
    assert [guest.gone for guest in (*early, *late)] == [False] * SLICE + [True] * SLICE
    house.tick([], 1.0 + SLOT_S)
    assert not any(guest.gone for guest in early)
