"""How long a node is out."""

import pytest

from proxy.core.checks.sanction import Sanction
from proxy.core.settings import Settings


class Fixed:
    def __init__(self, value):
        self.value = value

    def random(self):
        return self.value


def lengths(sanction, count, pause=0.5):
    """Eject and lift that often; return how long each time was."""
    now, found = 100.0, []
    for _ in range(count):
        sanction.impose(now)
        found.append(sanction.until - now)
        now = sanction.until
        sanction.lift(now)
        now += pause
    return found


def test_times_double_from_one_second_to_a_minute():
    assert lengths(Sanction(Settings(), Fixed(0.0)), 8) == [1, 2, 4, 8, 16, 32, 60, 60]


def test_chance_lengthens_each_time_by_up_to_a_half():
    assert lengths(Sanction(Settings(), Fixed(1.0)), 3) == pytest.approx([1.5, 3, 6])
    assert lengths(Sanction(Settings(), Fixed(0.5)), 3) == pytest.approx([1.25, 2.5, 5])


def test_a_hundred_ejections_are_no_longer_than_a_minute():
    assert lengths(Sanction(Settings(), Fixed(0.0)), 100)[-1] == 60


def test_a_failed_probe_counts_as_another_ejection():
    sanction = Sanction(Settings(), Fixed(0.0))
    sanction.impose(0.0)
    sanction.impose(1.0)
    assert sanction.until == 3.0


def test_a_good_minute_in_rotation_lets_it_begin_anew():
    sanction = Sanction(Settings(), Fixed(0.0))
    assert lengths(sanction, 3, pause=59.0) == [1, 2, 4]
    assert lengths(Sanction(Settings(), Fixed(0.0)), 3, pause=61.0) == [1, 1, 1]


def test_time_out_of_rotation_is_no_good_time():
    sanction = Sanction(Settings(), Fixed(0.0))
    sanction.impose(0.0)
    sanction.impose(1_000.0)
    assert sanction.count == 2


def test_a_failed_probe_long_after_an_earlier_return_is_no_new_beginning():
    sanction = Sanction(Settings(), Fixed(0.0))
    sanction.impose(0.0)
    sanction.lift(1.0)
    sanction.impose(2.0)
    sanction.impose(100.0)
    assert sanction.until == 104.0
