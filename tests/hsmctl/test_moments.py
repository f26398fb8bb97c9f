"""Points in time and lengths of time."""

import datetime

import click
import pytest

from hsm_wire.limits import MAX_DESTRUCTION_WAIT_S
from hsmctl.moments import Length, Moment, length_text, moment_text


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("90s", 90), ("30m", 1800), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600)]
)
def test_a_length_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert Length().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1.5h", "7 d", "7y", "٧d"])
def test_what_is_no_length_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="7d or 2w"):
        Length().convert(text, None, None)


@pytest.mark.parametrize("text", ["3651d", "9999999999w"])
def test_a_length_above_the_limit_is_refused(text: str) -> None:
    assert Length().convert("3650d", None, None) == MAX_DESTRUCTION_WAIT_S
    with pytest.raises(click.BadParameter, match="at most 3650d"):
        Length().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-31", "2027-01-31T00:00:00+00:00"),
        ("2027-01-31T12:00", "2027-01-31T12:00:00+00:00"),
        ("2027-01-31T12:00Z", "2027-01-31T12:00:00+00:00"),
        ("2027-01-31T12:00+01:00", "2027-01-31T12:00:00+01:00"),
    ],
)
def test_a_moment_without_a_time_zone_is_in_utc(text: str, moment: str) -> None:
    assert Moment().convert(text, None, None).isoformat() == moment


@pytest.mark.parametrize("text", ["", "tomorrow", "31.1.2027", "2027-02-30", "1969-12-31", "1970-01-01", "0001-01-01"])
def test_what_is_no_date_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write 2027-01-31 or"):
        Moment().convert(text, None, None)


@pytest.mark.parametrize(("seconds", "text"), [(604_800, "7d"), (5400, "90m"), (7200, "2h"), (61, "61s"), (0, "0d")])
def test_a_length_is_shown_in_its_largest_whole_unit(seconds: int, text: str) -> None:
    assert length_text(seconds) == text


def test_a_moment_is_shown_in_utc_and_one_beyond_the_calendar_as_a_number() -> None:
    assert moment_text(1_800_000_000) == "2027-01-15T08:00:00+00:00"
    assert datetime.datetime.fromisoformat(moment_text(1_800_000_000)).timestamp() == 1_800_000_000
    assert moment_text((1 << 63) - 1) == str((1 << 63) - 1)
