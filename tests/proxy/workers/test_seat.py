"""A worker's place in its proxy."""

from worker_figures import load, report, traffic

from hsm_wire.messages import EventReport
from proxy.config import Sources
from proxy.core.settings import Portion
from proxy.workers.messages import Begin, Changed, Told
from proxy.workers.seat import WorkerSeat

SOURCES = Sources(b"", b"")


def taken():
    sent = []
    event = EventReport(4, "now", "info", "", "", "before")
    return WorkerSeat(Begin(2, 3, 12.5, False, SOURCES, SOURCES, [event]), sent.append), sent


def test_a_worker_has_its_part_and_no_admin_pages():
    seat, _ = taken()
    assert (seat.portion, seat.has_admin, seat.age_s, seat.events.newest) == (Portion(2, 3), False, 12.5, 4)
    assert seat.neighbours() is seat.courtesy


def test_what_it_sees_goes_to_the_parent():
    seat, sent = taken()
    seat.changed("n1")
    seat.events.add(1.0, "info", "it happened", node="n1")
    assert sent == [Changed("n1"), Told(1.0, "info", "it happened", "", "n1")]


def test_its_report_has_what_the_others_do_and_its_own_load_has_not():
    seat, _ = taken()
    seat.counted = lambda: (7, 1)
    seat.others = [load(clients=5)]
    found = seat.whole(report(clients=2), traffic())
    assert found.clients == 7
    assert seat.load is not None
    assert (seat.load.clients, seat.load.requests, seat.load.failovers) == (2, 7, 1)
    assert seat.totals(7, 1) == (57, 6)
