"""What commands print."""

import json

import pytest

from hsmctl import output
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


def test_a_note_is_beside_the_result_and_not_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).note("by the way")
    Output(as_json=True).note("by the way")
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("", "by the way\n")


def test_pairs_are_aligned() -> None:
    assert pairs({"id": "01", "label": "tls"}) == "id     01\nlabel  tls"
    assert pairs({}) == ""
