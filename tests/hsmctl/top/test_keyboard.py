"""Keys of a terminal."""

import os
import pty
import termios

import pytest

from hsmctl.top.keyboard import Keyboard, keys_of


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("q", ["q"]),
        ("\t\x03 ", ["tab", "ctrl-c", " "]),
        ("\x1b[A\x1b[B\x1bOC\x1b[D", ["up", "down", "right", "left"]),
        ("\x1b[5~\x1b[6~\x1b[Z\x1b[H", ["page up", "page down", "back tab", "home"]),
        ("\x1b[15~q", ["q"]),
        ("\x1b[1;5Aq", ["q"]),
        ("\x1b", []),
        ("\x1bq", ["q"]),
        ("\x1b[", []),
        ("\x1b[99", []),
        ("é", ["é"]),
    ],
)
def test_what_a_terminal_sends_is_told_by_name(sent: str, keys: list[str]) -> None:
    assert keys_of(sent) == keys


def test_a_terminal_gets_its_settings_back() -> None:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    try:
        with Keyboard(theirs) as keyboard:
            assert termios.tcgetattr(theirs)[3] & (termios.ECHO | termios.ICANON) == 0
            os.write(ours, b"s\x1b[A")
            assert keyboard.typed() == ["s", "up"]
        assert termios.tcgetattr(theirs) == before
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_terminal_that_has_gone_is_ctrl_c() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    try:
        assert Keyboard(reading).typed() == ["ctrl-c"]
    finally:
        os.close(reading)
    assert Keyboard(reading).typed() == ["ctrl-c"]
