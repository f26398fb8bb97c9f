"""The models' runner, and the smallest of the models; all of them are in tests/system/test_model.py."""

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_check", ROOT / "model" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["model_check"] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def needs_spin() -> None:
    for program in ("spin", "cc"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")


def test_every_mutant_belongs_to_one_variant_of_its_model(checker: ModuleType) -> None:
    cases = list(checker.cases())
    assert len({case.name for case in cases}) == len(cases)
    for model in {case.model for case in cases}:
        named = [case.mutant for case in cases if case.model == model and case.mutant]
        assert sorted(named) == sorted(checker.mutants(model))
        assert named


def test_the_document_names_every_model_and_mutant(checker: ModuleType) -> None:
    text = (ROOT / "docs" / "consistency.md").read_text(encoding="utf-8")
    missing = [case.name for case in checker.cases() if f"`{case.mutant or case.model}" not in text]
    assert not missing


def test_epochs_hold_in_every_state_and_a_mutant_is_caught(checker: ModuleType) -> None:
    needs_spin()
    sound = checker.search(checker.Case("epochs"))
    assert sound.right
    assert sound.states > 50_000
    caught = checker.search(checker.Case("epochs", "", "COLD_NODES_ARE_CURRENT"))
    assert caught.right
    assert caught.verdict == "caught"


def test_a_mutant_that_is_not_caught_is_an_error(checker: ModuleType) -> None:
    outcome = checker.Outcome(checker.Case("epochs", "", "SOMETHING"), 1, 1, 1.0, 1.0, "")
    assert not outcome.right
    assert "NOT CAUGHT" in checker.table([outcome])


def test_an_unknown_name_is_said(checker: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert checker.main(["nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err
