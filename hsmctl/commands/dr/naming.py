"""Asking for the cluster's name before something that is not to be taken back."""

import sys

import click

from hsmctl.failures import USAGE, CommandError


def has_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def ask_for_name(what: str, cluster: str) -> None:
    """Have the cluster's name typed; `what` says what that confirms.

    Raises:
        CommandError: it is another name, or there is nobody to type it.
    """
    if not has_terminal():
        raise CommandError("there is no terminal to ask for the cluster's name on; say --yes", USAGE)
    typed: str = click.prompt(f"{what}. Type the cluster's name", err=True)
    if typed.strip() != cluster:
        raise CommandError(f"that is not {cluster}; nothing was done", USAGE)
