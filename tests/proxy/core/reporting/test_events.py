"""The ring of events."""

from hsm_wire.limits import MAX_NAME_CHARACTERS
from proxy.core.reporting.events import MAX_EVENTS, RecentEvents


def filled(count):
    events = RecentEvents()
    for number in range(1, count + 1):
        events.add(float(number), "info", f"event {number}", site="s", node="n")
    return events


def numbers(found):
    return [event.number for event in found]


def test_events_are_counted_from_one_and_the_newest_are_given_oldest_first():
    events = filled(5)
    assert (events.newest, numbers(events.after(0, 3))) == (5, [3, 4, 5])
    first = events.after(0, 50)[0]
    assert (first.at, first.severity, first.site, first.node, first.what) == (
        "1970-01-01T00:00:01.000+00:00",
        "info",
        "s",
        "n",
        "event 1",
    )


def test_an_event_is_made_once_however_often_it_is_asked_for():
    events = filled(3)
    assert [id(event) for event in events.after(0, 3)] == [id(event) for event in events.after(0, 3)]


def test_who_follows_gets_everything_that_came_since_and_in_pieces_if_need_be():
    events = filled(7)
    assert numbers(events.after(2, 3)) == [3, 4, 5]
    assert numbers(events.after(5, 3)) == [6, 7]
    assert numbers(events.after(7, 3)) == []


def test_a_number_of_before_a_restart_brings_nothing_and_the_newest_tells_why():
    events = filled(2)
    assert (events.after(90, 10), events.newest) == ([], 2)


def test_the_oldest_are_forgotten_and_who_comes_late_starts_with_what_is_left():
    events = filled(MAX_EVENTS + 10)
    assert len(events.after(0, MAX_EVENTS + 10)) == MAX_EVENTS
    assert numbers(events.after(3, 2)) == [11, 12]


def test_there_may_be_none_and_a_long_sentence_is_cut():
    events = RecentEvents()
    assert events.after(0, 5) == [] == events.after(3, 5)
    events.add(0.0, "error", "x" * 1000)
    assert len(events.after(0, 1)[0].what) == MAX_NAME_CHARACTERS
