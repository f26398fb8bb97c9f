"""Virtual time, and stations where work queues."""

import pytest

from bench.agenda import BEGIN_S, Agenda, Station


def test_events_happen_in_the_order_of_their_times_and_then_of_their_making() -> None:
    agenda, seen = Agenda(), []
    agenda.after(2.0, seen.append, "last")
    agenda.after(1.0, seen.append, "first")
    agenda.after(1.0, seen.append, "second")
    agenda.run(BEGIN_S + 1.5)
    assert seen == ["first", "second"]
    assert agenda.now == BEGIN_S + 1.5
    agenda.run(BEGIN_S + 3.0)
    assert seen[-1] == "last"


def test_what_comes_to_a_busy_server_waits_for_it() -> None:
    station = Station()
    assert station.done_at(10.0, 2.0) == 12.0
    assert station.done_at(11.0, 1.0) == 13.0
    assert station.done_at(20.0, 1.0) == 21.0
    assert station.busy_s == pytest.approx(4.0)


def test_two_servers_work_side_by_side() -> None:
    station = Station(2)
    assert [station.done_at(0.0, 1.0) for _ in range(3)] == [1.0, 1.0, 2.0]
