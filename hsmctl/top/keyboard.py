"""Keys of a terminal, one at a time and without echo; the terminal gets its settings back."""

import os
import termios
import tty
from typing import Any, Final, Self

READ_BYTES: Final = 1024
"""Keys that are read at a time: more than anybody types between two looks."""
SEQUENCES: Final = {
    "[A": "up",
    "[B": "down",
    "[C": "right",
    "[D": "left",
    "OA": "up",
    "OB": "down",
    "OC": "right",
    "OD": "left",
    "[5~": "page up",
    "[6~": "page down",
    "[H": "home",
    "[1~": "home",
    "OH": "home",
    "[Z": "back tab",
}
"""What follows ESC."""
_NAMES: Final = {"\t": "tab", "\x03": "ctrl-c"}
_ESCAPE: Final = "\x1b"


class Keyboard:
    """See the module. Used as a context manager."""

    def __init__(self, file_number: int) -> None:
        self.file_number = file_number
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self.file_number)
        tty.setcbreak(self.file_number)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            termios.tcsetattr(self.file_number, termios.TCSADRAIN, self._before)

    def typed(self) -> list[str]:
        """Return the keys that were typed; what the end of input, or a terminal that is gone, gives is Ctrl-C."""
        try:
            data = os.read(self.file_number, READ_BYTES)
        except OSError:
            data = b""
        return keys_of(data.decode("utf-8", "replace")) if data else ["ctrl-c"]


def keys_of(text: str) -> list[str]:
    """Return the keys behind what a terminal sends; sequences that mean nothing here are left out."""
    keys = []
    while text:
        if text[0] != _ESCAPE:
            keys.append(_NAMES.get(text[0], text[0]))
            text = text[1:]
            continue
        sequence, text = _sequence(text[1:])
        if sequence in SEQUENCES:
            keys.append(SEQUENCES[sequence])
    return keys


def _sequence(text: str) -> tuple[str, str]:
    """Return the rest of an escape sequence, and what comes after it."""
    if text[:1] not in ("[", "O"):
        return "", text
    for end in range(1, len(text)):
        if "@" <= text[end] <= "~":
            return text[: end + 1], text[end + 1 :]
    return text, ""
