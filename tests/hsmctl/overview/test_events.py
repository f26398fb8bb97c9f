"""Events in plain words."""

import datetime

import pytest
from reports import NOW, event, look, report, silent, text, view

from hsmctl.overview.events import (
    Event,
    event_lines,
    fresh_events,
    known_events,
    maybe_moment,
    moment_of,
)

AT = maybe_moment(NOW)


def test_an_event_is_a_line_with_its_time_and_a_sign_of_its_severity() -> None:
    told = [event(1, "zrh-1 is in rotation", severity="info"), event(2), event(3, "no node serves", severity="error")]
    assert text(event_lines(known_events([look(report(), *told)]), AT, 1)).splitlines() == [
        "04:12:01  · zrh-1 is in rotation",
        "04:12:02  ▲ zrh-1 left the rotation",
        "04:12:03  ✗ no node serves",
    ]


def test_an_event_of_another_day_has_its_date() -> None:
    lines = text(event_lines([Event("p", event(at="2026-11-29T23:59:59Z"))], AT, 1))
    assert lines.startswith("2026-11-29 23:59:59  ")
    assert text(event_lines([Event("p", event())], None, 1)).startswith("2026-11-30 04:12:01  ")


def test_what_several_proxies_tell_of_the_same_thing_is_one_line() -> None:
    first = look(report(), event(1), event(9))
    second = look(report(proxy="proxy-2"), event(2), event(3, "isp-b is down"), port=2411)
    assert text(event_lines(known_events([first, second]), AT, 2)).splitlines() == [
        "04:12:01  ▲ zrh-1 left the rotation",
        "04:12:03  ▲ proxy-2: isp-b is down",
        "04:12:09  ▲ proxy-1: zrh-1 left the rotation",
    ]


def test_one_proxy_that_tells_the_same_twice_has_two_lines() -> None:
    assert len(event_lines(known_events([look(report(), event(1), event(2))]), AT, 1)) == 2


def test_events_of_a_proxy_that_has_fallen_silent_stay_under_its_address() -> None:
    kept = silent().__class__(silent().address, None, silent().fault, (event(),))
    assert [found.proxy for found in known_events([kept])] == ["10.0.0.1:2411"]
    assert fresh_events([kept]) == []


def test_a_time_that_cannot_be_read_is_shown_as_it_is_and_steers_no_terminal() -> None:
    lines = text(event_lines([Event("p", event(1, "\x1b[2J", at="soon\x1b"))], AT, 1))
    assert lines == "soon\\x1b  ▲ \\x1b[2J"


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("2026-11-30T05:12:01+01:00", datetime.datetime(2026, 11, 30, 4, 12, 1, tzinfo=datetime.UTC)),
        ("2026-11-30T04:12:01", datetime.datetime(2026, 11, 30, 4, 12, 1, tzinfo=datetime.UTC)),
        ("", None),
        ("9999-12-31T23:59:59-14:00", None),
    ],
)
def test_moments_are_in_utc(said: str, moment: datetime.datetime | None) -> None:
    assert maybe_moment(said) == moment


def test_the_time_of_a_view_is_that_of_the_first_proxy_that_says_it() -> None:
    assert moment_of(view(silent(), look(report(now="")), look(report()))) == AT
    assert moment_of(view(silent())) is None


def test_an_event_as_json_names_its_proxy_and_its_fields() -> None:
    assert Event("p", event()).document() == {
        "proxy": "p", "number": 1, "at": "2026-11-30T04:12:01.0Z", "severity": "warning", "site": "zurich",
        "node": "zrh-1", "what": "zrh-1 left the rotation",
    }  # fmt: skip
