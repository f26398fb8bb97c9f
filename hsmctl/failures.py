"""Errors of commands: one line that says what is wrong and what to do, and an exit code.

0 ok, 1 the operation failed, 2 usage or configuration, 3 the cluster cannot be reached. A file that is not what the
command needs is usage, whoever sees it; a signature or ciphertext that does not hold good is a failure.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hsm_client import errors
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.statuses import STATUS_TABLE, Status, maybe_status

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3

SIGNING_TYPES: Final = "RSA, EC, Ed25519 or Ed448"
"""Keys that certificates and requests are signed with."""
PUBLIC_TYPES: Final = "RSA, EC, Ed25519, Ed448, X25519, ML-DSA or ML-KEM"
"""Keys with a public part."""

_COMMANDS: Final = {
    Status.BAD_REQUEST: "correct that",
    Status.UNKNOWN_OPERATION: "upgrade the cluster",
    Status.KEY_NOT_FOUND: "`hsmctl key list` shows all",
    Status.KEY_DISABLED: "`hsmctl key enable` lets it serve again",
    Status.KEY_USAGE: "`hsmctl key show` lists what it may do",
    Status.MECHANISM_NOT_HERE: "choose another type of key or mechanism",
}
"""What a user of the command line does about a status, where that is not what the table tells programs."""


_NAMES: Final = {row.name: row.alias for row in MECHANISMS.values()}
"""What the protocol calls a mechanism (CKM_...) and what a user of the command line does."""
_CONSTANT: Final = re.compile(r"\bCKM_[A-Z0-9_]+")


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
    line = in_user_words(one_line(str(error))) or type(error).__name__
    advice = advice_for(error.status) if isinstance(error, errors.HsmError) else ""
    # What a node says is short; texts that tell what to do have it behind a semicolon, or are the table's own.
    if not advice or ";" in line or advice.casefold() in line.casefold():
        return line
    return f"{line.rstrip('.')}; {advice}"


def in_user_words(text: str) -> str:
    """Return the text with mechanisms named as on the command line."""
    return _CONSTANT.sub(lambda found: _NAMES.get(found[0], found[0]), text)


def advice_for(status: int) -> str:
    """Return what to do about a status, as the end of a line; empty where there is nothing to say."""
    known = maybe_status(status)
    if known in _COMMANDS:
        return _COMMANDS[known]
    row = STATUS_TABLE.get(known) if known is not None else None
    if row is None or row.advice == "Nothing.":
        return ""
    return f"{row.advice[0].lower()}{row.advice[1:].rstrip('.')}"


@contextmanager
def wants_fitting_file() -> Iterator[None]:
    """Say that a file is wrong, as usage, where the cluster cannot take what is in it: a digest's or key's length."""
    try:
        yield
    except errors.BadData as error:
        raise CommandError(line_of(error), USAGE) from None


@contextmanager
def wants_key_pair(name: str, types: str = SIGNING_TYPES) -> Iterator[None]:
    """Say which keys would do, those of `types`, where one without a public part is named."""
    try:
        yield
    except errors.KeyType as error:
        raise CommandError(f"{name} does not do: {error}; name a key of type {types}") from None
