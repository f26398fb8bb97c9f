"""Who runs, who is due, who is stuck; 100 = the start."""

import pytest

from proxy.workers.loads import Load
from proxy.workers.messages import Beat
from proxy.workers.roster import MAX_PAUSE_S, SILENCE_LIMIT_S, START_LIMIT_S, WELL_S, Place, Roster, State

LOAD = Load(1, 0, 0, 0, 0, 0.0, 0.0, 0.0, [], [], [])


def beat(clients=0, unready="", *, room=True):
    return Beat(clients, room, unready, 3)


def served(place, now=100.0, **more):
    place.started(7, now)
    place.heard(beat(**more), now)
    place.serving(now)
    return place


def test_a_place_is_due_at_first_and_not_while_its_worker_runs():
    place = Place(1)
    assert place.is_due(100.0)
    place.started(7, 100.0)
    assert (place.is_due(200.0), place.state, place.pid, place.restarts) == (False, State.STARTING, 7, 0)


def test_it_serves_when_it_has_said_so_and_knows_of_nothing_against_it():
    place = Place(1)
    place.started(7, 100.0)
    place.heard(beat(), 100.1)
    assert not place.serves
    place.serving(100.2)
    assert place.serves
    place.heard(beat(unready="no node is in rotation"), 100.3)
    assert not place.serves
    assert place.state is State.SERVING


def test_a_worker_that_ends_is_started_at_once_and_then_after_pauses_that_double():
    place, now, pauses = Place(1), 100.0, []
    for _ in range(10):
        served(place, now)
        pauses.append(place.ended(now))
        assert place.is_due(now + pauses[-1])
        assert pauses[-1] == 0.0 or not place.is_due(now + pauses[-1] - 0.01)
        now += pauses[-1]
    assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, MAX_PAUSE_S, MAX_PAUSE_S, MAX_PAUSE_S]
    assert place.restarts == 9


def test_long_service_makes_up_for_earlier_ends():
    place = Place(1)
    for _ in range(4):
        served(place).ended(100.0)
    served(place)
    assert place.ended(100.0 + WELL_S) == 0.0
    served(place)
    assert place.ended(100.0) == 0.5


def test_a_worker_that_says_nothing_stands_still():
    place = served(Place(1))
    place.heard(beat(), 105.0)
    assert place.fault(105.0 + SILENCE_LIMIT_S) == ""
    assert place.fault(105.1 + SILENCE_LIMIT_S) == "it stands still"
    place.condemned()
    assert place.fault(200.0) == "", "it is known already"


def test_silence_while_the_parent_itself_stood_still_is_forgiven():
    place = served(Place(1))
    place.forgive(200.0)
    assert place.fault(200.0 + SILENCE_LIMIT_S) == ""


def test_loading_the_program_may_take_longer_than_a_loop_may_stand_still():
    place = Place(1)
    place.started(7, 100.0)
    assert place.fault(100.0 + START_LIMIT_S) == ""
    assert place.fault(100.1 + START_LIMIT_S) == "it stands still"


def test_a_worker_that_lives_and_does_not_come_to_serve_is_ended():
    place = Place(1)
    place.started(7, 100.0)
    place.heard(beat(), 100.0 + START_LIMIT_S)
    assert "does not serve within 30 s" in place.fault(100.1 + START_LIMIT_S)


def test_one_that_leaves_is_watched_on_and_takes_its_time():
    place = served(Place(1))
    place.leaving()
    place.heard(beat(), 150.0)
    assert (place.state, place.fault(151.0)) == (State.LEAVING, "")
    assert place.fault(154.0) == "it stands still"
    place.ended(154.0)
    place.leaving()
    assert place.state is State.ABSENT


@pytest.fixture
def roster():
    made = Roster(3)
    for place, clients in zip(made.places, (5, 3, 9), strict=True):
        served(place, clients=clients, room=clients < 5)
    return made


def test_each_is_told_of_the_others(roster):
    one, two, three = roster.places
    assert [roster.others(place) for place in roster.places] == [(3, True), (5, False), (3, True)]
    two.ended(101.0)
    assert roster.others(one) == (9, False)
    three.leaving()
    assert roster.others(one) == (None, False)


def test_a_proxy_is_ready_while_one_worker_serves(roster):
    assert roster.unready == ""
    for place in roster.places:
        place.heard(beat(unready="no node is in rotation"), 101.0)
    assert roster.unready == "no node is in rotation"
    for place in roster.places:
        place.ended(101.0)
    assert roster.unready == "no worker serves; the log says why"


def test_loads_are_those_of_the_others_that_have_told(roster):
    one, two, three = roster.places
    two.load = three.load = LOAD
    assert roster.loads(one) == [LOAD, LOAD]
    assert roster.loads(two) == [LOAD]
    two.ended(101.0)
    assert roster.loads(one) == [LOAD]
