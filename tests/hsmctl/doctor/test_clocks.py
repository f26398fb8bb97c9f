"""Clocks that differ."""

import pytest
from reports import NOW_S, answer, report

from hsmctl.doctor.clocks import clock_findings, maybe_skew_s


@pytest.mark.parametrize(
    ("off_s", "words"), [(6.0, "6 s behind"), (-7.0, "7 s ahead of"), (86_400.0, "86400 s behind")]
)
def test_a_clock_that_is_off_is_said_with_how_far_and_where(off_s: float, words: str) -> None:
    [found] = clock_findings([answer(asked_at=NOW_S + off_s)])
    assert found.wrong == f"its clock is {words} this host's"
    assert found.subject == "proxy 10.0.0.1:2410"


@pytest.mark.parametrize("off_s", [0.0, 4.9, -4.9])
def test_a_little_is_nothing(off_s: float) -> None:
    assert clock_findings([answer(asked_at=NOW_S + off_s)]) == []


def test_what_a_slow_way_there_explains_is_nothing() -> None:
    assert clock_findings([answer(asked_at=NOW_S + 6.0, round_trip_s=4.0)]) == []


def test_a_proxy_that_does_not_say_its_time_has_no_skew() -> None:
    assert maybe_skew_s(answer(report(now=""))) is None
    assert maybe_skew_s(answer(report(now="0001-01-01T00:00:00+14:00"))) is None, "beyond the calendar"
    assert maybe_skew_s(answer(result=None)) is None
    assert clock_findings([answer(report(now="soon"))]) == []
