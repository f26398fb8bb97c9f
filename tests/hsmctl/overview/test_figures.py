"""Numbers as a page shows them."""

import pytest

from hsmctl.overview import figures


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0"), (0.04, "0.0"), (1.26, "1.3"), (9.96, "10.0"), (10, "10"), (12345.6, "12,346")]
)
def test_a_rate_is_short(number: float, shown: str) -> None:
    assert figures.rate(number) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(None, "-"), (0.123, "123 µs"), (1, "1.0 ms"), (99.94, "99.9 ms"), (100, "100 ms"), (2500, "2.5 s")],
)
def test_a_time_has_its_unit(number: float | None, shown: str) -> None:
    assert figures.milliseconds(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (59.9, "59s"), (60, "1m 0s"), (3599, "59m 59s"), (3661, "1h 1m"), (90_000, "1d 1h")],
)
def test_a_length_of_time_has_two_units(seconds: float, shown: str) -> None:
    assert figures.length(seconds) == shown


@pytest.mark.parametrize(("part", "shown"), [(-1, "    "), (0, "    "), (0.5, "██  "), (0.53, "██▏ "), (7, "████")])
def test_a_bar_is_as_wide_as_it_is_to_be(part: float, shown: str) -> None:
    assert figures.bar(part, 4) == shown


def test_a_part_is_in_per_cent_and_a_number_has_its_noun() -> None:
    assert figures.percent(1 / 3) == "33%"
    assert [figures.count(number, "node") for number in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]
