"""Pages on a terminal and elsewhere."""

import io
import os
import pty
import subprocess
import sys

import pytest
from rich.text import Text

from hsmctl.terminal import Drawing, plain, show

PAGE = [Text.assemble(("red", "red"), " and plain  "), Text("x" * 300)]
SHOW = "from rich.text import Text; from hsmctl.terminal import show; show([Text('● red', 'red')])"


def on_a_terminal(code: str, **environment: str) -> bytes:
    """Return what that code prints on a terminal."""
    ours, theirs = pty.openpty()
    variables = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    try:
        subprocess.run(
            [sys.executable, "-c", code], stdout=theirs, check=True, timeout=30,
            env={**variables, "TERM": "xterm", **environment},
        )  # fmt: skip
        return os.read(ours, 4096)
    finally:
        os.close(ours)
        os.close(theirs)


def test_what_goes_to_a_pipe_has_no_colours_no_broken_lines_and_no_spaces_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(PAGE)
    assert capsys.readouterr().out == f"red and plain\n{'x' * 300}\n"


def test_a_terminal_has_colours_unless_no_color_is_set() -> None:
    assert b"\x1b[31m" in on_a_terminal(SHOW)
    assert b"\x1b[31m" not in on_a_terminal(SHOW, NO_COLOR="1")


def test_a_terminal_of_an_older_encoding_shows_the_words() -> None:
    shown = on_a_terminal(SHOW, PYTHONIOENCODING="latin-1", NO_COLOR="1")
    assert b"? red" in shown


def test_plain_text_is_as_wide_as_it_is_to_be() -> None:
    assert plain([Text("a b c")], 3).splitlines() == ["a b", "c"]


def test_a_drawing_that_is_off_draws_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Drawing(on=False) as drawing:
        drawing.draw(PAGE)
    assert capsys.readouterr().out == ""


def test_a_drawing_is_drawn_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with Drawing(on=True) as drawing:
        drawing.draw([Text("first")])
        drawing.draw([Text("second")])
    shown = sys.stdout.getvalue()  # type: ignore[attr-defined]
    assert shown.index("first") < shown.index("\x1b[2K") < shown.index("second")
    assert shown.endswith("\x1b[?25h")
