"""The bench of a scrape measures a page that has everything."""

import pytest

from bench import scrape


def test_the_page_that_is_measured_has_every_operation_and_node() -> None:
    cost = scrape.measure(nodes=4, rounds=2, connections=3)
    assert cost.samples > 400
    assert 0 < cost.median_s <= cost.worst_s


def test_how_long_a_page_is_does_not_depend_on_its_figures() -> None:
    page = b"# HELP a Text.\na 1.0\nb 1234567.89\n"
    assert scrape.series(page) == 2
    assert scrape.usual_bytes(page) == scrape.usual_bytes(page.replace(b"1.0", b"999999")) == len(page) - 3 - 10 + 12


def test_it_says_what_it_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert scrape.main(["2"]) in (0, 1)  # how busy the machine is decides
    said = capsys.readouterr().out
    assert said.startswith("2 nodes, 1000 connections: ")
