"""A process that is the whole proxy."""

from types import SimpleNamespace

from proxy.core.settings import Portion
from proxy.seat import Seat


def test_who_is_alone_has_everything_and_adds_nothing():
    seat = Seat()
    seat.changed("n1")
    report = SimpleNamespace()
    assert (seat.portion, seat.has_admin, seat.age_s) == (Portion(1, 1), True, 0.0)
    assert seat.neighbours() is None
    assert seat.whole(report, SimpleNamespace()) is report
    assert seat.totals(3, 1) == (3, 1)
    seat.events.add(1.0, "info", "it happened")
    assert seat.events.newest == 1
