"""What is written, and how that changes while the process runs."""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm_daemon import logs
from hsm_daemon.errors import StartError
from hsm_daemon.log_settings import LogSettings

NODES = logs.logger("testing.nodes")
CLIENTS = logs.logger("testing.clients")
NEW = LogSettings(format="json", level="critical", levels={"testing.nodes": "debug"}, slow_request_s=0.2)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logs.reconfigure(LogSettings())
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_lines_go_to_standard_error_from_the_level_that_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("hsm-test", LogSettings(level="warning"))
    logs.event(NODES, "info", "quiet")
    logs.event(NODES, "warning", "loud", node="node-1")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("level=warning program=hsm-test logger=testing.nodes event=loud node=node-1\n")
    assert err.count("\n") == 1


def test_levels_of_single_loggers_go_over_that_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("hsm-test", LogSettings(level="error", levels={"testing.nodes": "debug"}))
    logs.event(NODES, "debug", "here")
    logs.event(CLIENTS, "warning", "not here")
    assert [line.split("event=")[1] for line in capsys.readouterr().err.splitlines()] == ["here"]
    logs.configure("hsm-test", LogSettings(level="error", levels={"testing": "info"}))
    logs.event(NODES, "debug", "not here any more")
    logs.event(CLIENTS, "info", "but here")
    assert [line.split("event=")[1] for line in capsys.readouterr().err.splitlines()] == ['"but here"']


def test_a_change_while_the_process_runs_holds_at_once_and_is_itself_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("hsm-test", LogSettings(level="critical"))
    logs.reconfigure(NEW)
    logs.event(NODES, "debug", "one")
    told, one = map(json.loads, capsys.readouterr().err.splitlines())
    assert told["event"] == "the log's settings have changed"
    assert (told["logger"], told["level"]) == ("daemon.logs", "info")
    assert told["format"] == "logfmt -> json"
    assert told["levels"] == "none -> testing.nodes=debug"
    assert told["slow_request_s"] == "1 -> 0.2"
    assert "default_level" not in told
    assert one["event"] == "one"
    logs.reconfigure(NEW)
    assert capsys.readouterr().err == ""


def test_a_level_for_a_logger_that_there_is_not_is_refused() -> None:
    with pytest.raises(StartError, match=r"log.levels: there is no logger 'testing.node'; there are .*testing.nodes"):
        logs.check(LogSettings(levels={"testing.node": "debug"}))
    logs.check(LogSettings(levels={"testing": "debug", "asyncio": "error"}))


def test_a_log_that_another_program_owns_stays_as_it_is() -> None:
    logging.getLogger().handlers[:] = [handler := logging.NullHandler()]
    logs.reconfigure(NEW)
    assert handler.formatter is None
    assert NODES.level == logging.NOTSET


def test_pythons_own_warnings_become_lines_of_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("hsm-test")
    logging.getLogger("py.warnings").warning("old")
    assert "logger=py.warnings event=old" in capsys.readouterr().err


def test_a_line_by_other_means_has_a_prefix_in_the_journal_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert logs.journal_prefix("error") == ""
    with (tmp_path / "journal").open("w") as journal:
        found = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        monkeypatch.setattr("sys.stderr", journal)
        assert logs.journal_prefix("error") == "<3>"


def test_a_process_of_several_says_in_each_line_which_one_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("hsm-test", worker=2)
    logs.event(NODES, "info", "one", worker="a field cannot say otherwise")
    logs.reconfigure(LogSettings(format="json"))
    logs.event(NODES, "info", "two")
    one, _, two = capsys.readouterr().err.splitlines()
    assert one.endswith("program=hsm-test worker=2 logger=testing.nodes event=one")
    assert json.loads(two)["worker"] == 2
