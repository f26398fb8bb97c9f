"""The command: numbers in, a table out."""

import pytest

from bench import capacity, costs
from bench.capacity_model import Installation, loads


def test_without_options_it_is_about_the_largest_installation() -> None:
    found = capacity.installation_of(capacity.parser().parse_args([]))
    assert found == Installation(10_000, 2.0, proxies=8, nodes=4)


def test_every_number_can_be_given() -> None:
    given = [
        "--clients",
        "50",
        "--requests-per-s",
        "3",
        "--proxies",
        "2",
        "--nodes",
        "2",
        "--plain",
        "--in-flight",
        "16",
    ]
    found = capacity.installation_of(capacity.parser().parse_args(given))
    assert (found.clients, found.rate, found.tls, found.in_flight) == (50, 150.0, False, 16)


def test_the_table_ends_with_what_binds_first_and_its_knob() -> None:
    installation = Installation(10_000, 50.0, proxies=8, nodes=4)
    *_, last = capacity.text_table(loads(installation, costs.load())).splitlines()
    assert last.startswith("first at its limit: a node's requests (")
    assert "one more node" in last


def test_it_prints_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["capacity", "--clients", "50", "--proxies", "2", "--nodes", "2"])
    assert capacity.main() == 0
    assert "proxy.toml `[limits] clients`" in capsys.readouterr().out


def test_a_size_that_was_not_measured_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["capacity", "--size", "999"])
    assert capacity.main() == 1
    assert "999 bytes were not measured" in capsys.readouterr().err
