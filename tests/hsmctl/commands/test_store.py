"""What the command says; what it does is in tests/integration/test_store_migration.py, with real programs."""

import importlib.util

import pytest
from click.testing import CliRunner, Result

from hsmctl.cli import main
from hsmctl.commands import store as module

REPORT = {"records": 5, "written": 3, "digest": "d1g357", "place": "etcd at here:2379", "already": False}


class Runs:
    """In place of the node's program."""

    def __init__(self) -> None:
        self.report: dict[str, object] = dict(REPORT)
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], _note: object) -> dict[str, object]:
        self.commands.append(command)
        return self.report


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    made = Runs()
    monkeypatch.setattr(module, "run_to_report", made)
    return made


def migrate(*more: str) -> Result:
    return CliRunner().invoke(main, ["store", "migrate", "--from", "s.db", "--to", "node.toml", *more])


def test_it_says_how_many_records_moved_and_what_to_do_next(runs: Runs) -> None:
    done = migrate()
    assert done.exit_code == 0
    assert "5 records moved to etcd at here:2379, 3 of them in this run" in done.stdout
    assert "d1g357" in done.stdout
    assert "s.db is marked as moved: set [store] of every node.toml" in done.stdout
    [command] = runs.commands
    assert command[-6:] == ["-m", "hsm_node.migration", "--config", "node.toml", "--from", "s.db"]


def test_what_was_done_before_is_said(runs: Runs) -> None:
    runs.report["already"] = True
    assert "already; nothing was done" in migrate().stdout


def test_the_way_back_has_its_own_words(runs: Runs) -> None:
    assert "s.db is the store again, with 5 records" in migrate("--undo").stdout
    assert runs.commands[0][-1] == "--undo"
    migrate("--undo", "--force")
    assert runs.commands[1][-2:] == ["--undo", "--force"]


def test_json_is_the_report(runs: Runs) -> None:
    assert '"records": 5' in migrate("--json").stdout


def test_nothing_is_forced_but_a_way_back(runs: Runs) -> None:
    done = migrate("--force")
    assert done.exit_code == 2
    assert "--force is for --undo" in done.stderr
    assert runs.commands == []


def test_the_program_that_is_started_is_there() -> None:
    assert importlib.util.find_spec(module.PROGRAM) is not None
