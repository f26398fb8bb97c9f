"""Errors of commands: one line that says what is wrong and what to do, and an exit code.

0 ok, 1 the operation failed, 2 usage or configuration, 3 the cluster cannot be reached.
"""

from typing import Final

from hsm_client import errors

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3


class CommandError(Exception):
    """A command cannot do what was asked; str(error) is the line for the user."""

    def __init__(self, line: str, exit_code: int = FAILED) -> None:
        super().__init__(line)
        self.exit_code = exit_code


def one_line(text: str) -> str:
    """Return the text on one line, however it was broken."""
    return " ".join(text.split())


def exit_code_of(error: Exception) -> int:
    """Return the exit code that an error of the client library or a command stands for."""
    if isinstance(error, CommandError):
        return error.exit_code
    if isinstance(error, errors.ConfigurationError):
        return USAGE
    if isinstance(error, errors.ClusterUnreachable):
        return UNREACHABLE
    return FAILED


def line_of(error: Exception) -> str:
    """Return the line to show for an error of the client library or a command."""
    return one_line(str(error)) or type(error).__name__
