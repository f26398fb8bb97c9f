"""The studies of whole daemons: a script measures them."""

from pathlib import Path

import pytest

from bench import outside
from bench.native import PYTHON, Tools
from bench.study import Context
from bench.workloads import QUICK

CONTEXT = Context(Path("folder"), [], QUICK, None)


def test_the_script_is_there() -> None:
    assert outside.SCRIPT.exists()


def test_without_the_load_in_c_there_is_nothing_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "tools", lambda *, tls: PYTHON)
    assert outside.measure(CONTEXT) == []


def test_rows_are_what_the_script_prints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, c_tools: Tools) -> None:
    script = tmp_path / "script.py"
    script.write_text('import sys\nprint(\'[{"study": "node", "words": %d}]\' % len(sys.argv))\n')
    monkeypatch.setattr(outside, "SCRIPT", script)
    assert outside.measure(CONTEXT) == [{"study": "node", "words": 6}]


def test_a_script_that_fails_is_told_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, c_tools: Tools
) -> None:
    script = tmp_path / "script.py"
    script.write_text("raise SystemExit('the node did not start')\n")
    monkeypatch.setattr(outside, "SCRIPT", script)
    with pytest.raises(outside.OutsideError, match="the node did not start"):
        outside.measure(CONTEXT)
