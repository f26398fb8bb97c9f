"""Instructions for each request: what is compared, and with what."""

import json
import sys
from pathlib import Path

import pytest

from bench import instructions
from bench.workloads import WORKLOADS, Workload

KEPT = {"64-sync": 1000}


def main(monkeypatch: pytest.MonkeyPatch, kept: Path, found: int, *options: str) -> int:
    def measure(folder: Path, workload: Workload, keep: Path | None, compiled: Path | None) -> int:
        return found

    monkeypatch.setattr(instructions, "measure", measure)
    monkeypatch.setattr(instructions, "KEPT", kept)
    monkeypatch.setattr(instructions.record, "__defaults__", (kept,))
    monkeypatch.setattr(sys, "argv", ["bench-check", "--workload", "64-sync", *options])
    return instructions.main()


def test_more_than_a_twentieth_above_what_is_kept_is_a_regression() -> None:
    assert [worse for _, worse in instructions.verdicts({"64-sync": 1051}, KEPT)] == [True]
    assert [worse for _, worse in instructions.verdicts({"64-sync": 1049}, KEPT)] == [False]
    assert [worse for _, worse in instructions.verdicts({"64-sync": 100}, KEPT)] == [False]


def test_a_workload_of_which_nothing_is_kept_is_no_success() -> None:
    [(text, worse)] = instructions.verdicts({"4x256": 1}, KEPT)
    assert worse
    assert "--record" in text


def test_a_dump_has_its_total_in_one_line() -> None:
    assert instructions.total_of("events: Ir\nsummary: 0\n\ntotals: 224280236\n") == 224280236


def test_a_dump_in_which_nothing_was_counted_is_an_error() -> None:
    with pytest.raises(instructions.InstructionsError):
        instructions.total_of("events: Ir\ntotals: 0\n")


def test_there_are_enough_requests_in_every_measurement() -> None:
    for workload in WORKLOADS:
        requests = instructions.rounds_of(workload) * workload.connections * workload.in_flight
        assert requests >= instructions.REQUESTS


def test_what_is_kept_is_kept_beside_other_environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps({"another": KEPT}))
    assert main(monkeypatch, kept, 7, "--record") == 0
    assert json.loads(kept.read_text()) == {"another": KEPT, instructions.environment(): {"64-sync": 7}}


def test_figures_of_the_compiled_build_are_kept_for_themselves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    assert main(monkeypatch, kept, 7, "--record", "--compiled", str(tmp_path)) == 0
    assert main(monkeypatch, kept, 70, "--record") == 0
    plain = instructions.environment()
    assert json.loads(kept.read_text()) == {f"{plain}, compiled": {"64-sync": 7}, plain: {"64-sync": 70}}


@pytest.mark.parametrize(("found", "code"), [(1000, 0), (1100, 1)])
def test_a_regression_is_the_exit_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: int, code: int) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps({instructions.environment(): KEPT}))
    assert main(monkeypatch, kept, found) == code


def test_an_unknown_environment_says_nothing_of_our_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps({"another": KEPT}))
    assert main(monkeypatch, kept, 1000) == 2
    assert "kept: another" in capsys.readouterr().err


def test_figures_are_kept_for_what_is_measured() -> None:
    for figures in json.loads(instructions.KEPT.read_text()).values():
        assert set(figures) == set(instructions.MEASURED)
