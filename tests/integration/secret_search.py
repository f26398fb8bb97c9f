"""Looks for secrets in everything that a run wrote, in every form in which they may have got there."""

import base64
import json
import re
from collections.abc import Iterable
from pathlib import Path

PIECE_BYTES = 12
"""Of a secret, at its beginning, in its middle and at its end: whoever cuts what it writes is found too."""
WORDS = 4
"""Of a text, one after the other."""
DIGITS = 20


class Secrets:
    """Secrets by name, and the files that are allowed to have each of them."""

    def __init__(self) -> None:
        self.values: dict[str, bytes | str | int] = {}
        self._allowed: dict[str, set[Path]] = {}

    def add(self, name: str, value: bytes | str | int, *allowed: Path) -> None:
        """Look for a value: bytes, a text of words, or a number."""
        assert name not in self.values
        self.values[name] = value
        self._allowed[name] = set(allowed)

    def allow(self, name: str, *files: Path) -> None:
        """Let more files have a secret."""
        self._allowed[name].update(files)

    def found_in(self, folders: Iterable[Path]) -> tuple[list[str], set[str]]:
        """Return where a secret is that should not be there, and which were found where they may be."""
        wrong, right = [], set()
        patterns = {name: forms(value) for name, value in self.values.items()}
        files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
        for path in files:
            content = path.read_bytes() + str(path).encode()
            for name, candidates in patterns.items():
                form = next((form for form in candidates if form in content), None)
                if form is None:
                    continue
                if path in self._allowed[name]:
                    right.add(name)
                else:
                    wrong.append(f"{name} in {path}: {form!r}")
        return wrong, right


def forms(value: bytes | str | int) -> list[bytes]:
    """Return the forms in which a part of a secret may have been written."""
    if isinstance(value, str):
        words = value.split()
        return [" ".join(words[at : at + WORDS]).encode() for at in range(WORDS, len(words) - WORDS + 1, WORDS)]
    if isinstance(value, int):
        length = (value.bit_length() + 7) // 8
        digits = str(value)
        both = value.to_bytes(length, "big"), value.to_bytes(length, "little")
        return [form for data in both for form in forms(data)] + [digits[:DIGITS].encode(), digits[-DIGITS:].encode()]
    middle = (len(value) - PIECE_BYTES) // 2
    pieces = (value[:PIECE_BYTES], value[middle : middle + PIECE_BYTES], value[-PIECE_BYTES:])
    return list(dict.fromkeys(form for piece in pieces for form in _forms_of_piece(piece)))


def _forms_of_piece(piece: bytes) -> list[bytes]:
    """Return one piece as it is, in hexadecimal, in base64 at three offsets, and as Python and JSON write it."""
    digits = piece.hex()
    spaced = (separator.join(re.findall("..", digits)) for separator in (" ", ":"))
    encoded = [base64.b64encode(bytes(shift) + piece)[4:-4] for shift in range(3)]
    written = repr(piece)[2:-1]
    texts = [digits, digits.upper(), *spaced, written, written.replace("\\'", "'"), str(list(piece))[1:-1]]
    texts += [json.dumps(text)[1:-1] for text in texts]
    texts.append(piece.decode("latin-1"))
    url = [form.replace(b"+", b"-").replace(b"/", b"_") for form in encoded]
    return [piece, *encoded, *url, *(text.encode() for text in texts)]
