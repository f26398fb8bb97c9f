"""What commands print."""

import errno
import json
import os

import pytest

from hsmctl import output
from hsmctl.failures import CommandError
from hsmctl.output import Output, pairs

COLUMNS, ROWS = ["id", "label"], [["01", "tls"], ["02", "a longer one"]]
DOCUMENT = [{"id": "01"}, {"id": "02"}]


def test_people_get_the_text_and_programs_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).result(DOCUMENT, "text")
    assert capsys.readouterr().out == "text\n"
    Output(as_json=False).result(DOCUMENT)
    assert capsys.readouterr().out == ""
    Output(as_json=True).result(DOCUMENT, "text")
    assert json.loads(capsys.readouterr().out) == DOCUMENT


def test_a_table_in_a_pipe_has_a_line_a_row_and_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).table(DOCUMENT, COLUMNS, ROWS)
    assert capsys.readouterr().out == "id\tlabel\n01\ttls\n02\ta longer one\n"
    Output(as_json=True).table(DOCUMENT, COLUMNS, ROWS)
    assert json.loads(capsys.readouterr().out) == DOCUMENT


def test_a_table_on_a_terminal_is_aligned(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output.sys.stdout, "isatty", lambda: True)
    Output(as_json=False).table(DOCUMENT, COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert len({line.index(word) for line, word in zip(lines[1:], ["tls", "a longer"], strict=True)}) == 1


def test_a_table_of_a_narrow_terminal_keeps_ids_and_times_whole_and_takes_no_markup(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    row = ["0" * 32, "ec-secp256k1", "[i] \x1b[2Ja label", "yes", "2026-01-31 12:00"]
    Output(as_json=False).table(None, ["id", "type", "label", "enabled", "created (UTC)"], [row])
    text = capsys.readouterr().out
    assert "0" * 32 in text
    assert "2026-01-31 12:00" in text
    assert "[i]" in text
    assert "\x1b[2J" not in text
    assert "ec-secp256k1" in text


def test_what_comes_from_elsewhere_breaks_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).table(None, ["id"], [["a\nb\tc"]])
    assert capsys.readouterr().out == "id\na\\nb\\tc\n"
    assert pairs({"label": "a\nb\u202e"}) == r"label  a\nb\u202e"


def test_what_comes_from_elsewhere_steers_no_terminal_in_results_and_notes(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).result(None, "node \x1b[2Ja\nnode b")
    Output(as_json=False).note("hsmctl: \x1b]0;x\x07 is silent\nall is well")
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("node \\x1b[2Ja\nnode b\n", "hsmctl: \\x1b]0;x\\x07 is silent\\nall is well\n")


def test_a_full_disk_behind_standard_output_is_said_and_a_reader_that_left_is_not() -> None:
    with pytest.raises(CommandError, match="cannot write to standard output: No space left"), output.standard_output():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(BrokenPipeError), output.standard_output():
        raise BrokenPipeError


def test_a_note_is_beside_the_result_and_not_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).note("by the way")
    Output(as_json=True).note("by the way")
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("", "by the way\n")


def test_pairs_are_aligned() -> None:
    assert pairs({"id": "01", "label": "tls"}) == "id     01\nlabel  tls"
    assert pairs({}) == ""
