"""Asking for the cluster's name."""

import os

import click
import pytest

from hsmctl.commands.dr import naming
from hsmctl.failures import CommandError


def test_the_name_that_is_typed_has_to_be_the_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "has_terminal", lambda: True)
    typed = iter(["dev ", "prod"])
    monkeypatch.setattr(click, "prompt", lambda *_text, **_how: next(typed))
    naming.ask_for_name("It is to serve", "dev")
    with pytest.raises(CommandError, match="that is not dev"):
        naming.ask_for_name("It is to serve", "dev")


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        with pytest.raises(CommandError, match="say --yes"):
            naming.ask_for_name("It is to serve", "dev")
