"""The commands of the ceremony, without a token: `tests/system/test_ceremony.py` has real ones."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hsm_daemon.errors import StartError
from hsm_node import ceremony_commands
from hsm_node.ceremony import JoinAnswer, JoinRequest
from hsm_node.ceremony_commands import ask_for_shares, init, join, read, show_record, write
from hsm_node.ceremony_record import FIRST
from hsmctl.shares import split

THERE = ["--record", "record", "--operator", "ada"]
REQUEST = JoinRequest("node-2", "two (1)", "a2V5")


def run(command: Any, folder: Path, *arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(command, [*THERE, *arguments], obj=folder / "node.toml", input=typed)


def test_a_file_says_the_same_when_it_is_read_again_and_another_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new" / "n2.request"
    write(path, REQUEST)
    assert read(path, JoinRequest, "a request") == REQUEST
    with pytest.raises(StartError, match="this is not an answer"):
        read(path, JoinAnswer, "an answer")
    with pytest.raises(StartError, match="cannot be read"):
        read(tmp_path / "none", JoinAnswer, "an answer")
    with pytest.raises(StartError, match="cannot be written"):
        write(path / "below", REQUEST)


def test_a_request_that_nobody_recognises_is_not_answered(node_folder: Path) -> None:
    path = node_folder / "n2.request"
    write(path, REQUEST)
    done = run(init, node_folder, "--for", str(path), "--out-dir", "out", typed="n\n")
    assert REQUEST.fingerprint in done.output
    assert "bring it again" in str(done.exception)
    assert run(init, node_folder, "--for", str(path)).exit_code == 2


def test_a_node_in_software_has_no_ceremony(node_folder: Path) -> None:
    for command, options in ((init, []), (join, ["--request", "r"])):
        done = run(command, node_folder, *options)
        assert "this node's keys are in software" in str(done.exception)
    assert run(join, node_folder).exit_code == run(join, node_folder, "--request", "r", "--shares").exit_code == 2


def test_shares_are_asked_for_until_they_make_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    key = bytes(range(32))
    typed = iter(["no share", *split(key, 2, 2)])
    monkeypatch.setattr(ceremony_commands.click, "prompt", lambda *_, **__: next(typed))
    assert ask_for_shares() == key


def test_a_record_that_is_not_there_yet_has_no_lines(tmp_path: Path) -> None:
    done = CliRunner().invoke(show_record, [str(tmp_path / "record")])
    assert (done.exit_code, done.output) == (0, "")
    (tmp_path / "record").write_text(f'{{"at":"","previous":"{FIRST}"}}\n')
    assert "line 1 was changed" in str(CliRunner().invoke(show_record, [str(tmp_path / "record")]).exception)
