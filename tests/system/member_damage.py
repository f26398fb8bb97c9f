"""Damages one record in the file of a member of etcd, which has it mapped: no other member knows of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_ROW: Final = b"redoubt/row/"
_NAME_BYTES: Final = 32
_WITHIN_VALUE: Final = 200
"""Bytes from the start of a row's key in the file to a place within its value."""


@contextmanager
def damaged(data: Path) -> Iterator[str]:
    """Change a byte of one record, in every place of the file that has it, and change it back; its name in hex.

    Args:
        data: the member's `data-dir`.
    """
    file = data / "member" / "snap" / "db"
    content = file.read_bytes()
    at = content.find(_ROW)
    assert at >= 0, "the member has no record"
    row = content[at : at + len(_ROW) + _NAME_BYTES]
    places = []
    while at >= 0:
        places.append(at)
        at = content.find(row, at + 1)
    _change(file, places)
    try:
        yield row[len(_ROW) :].hex()
    finally:
        _change(file, places)


def _change(file: Path, places: list[int]) -> None:
    with file.open("r+b") as opened:
        for place in places:
            opened.seek(place + _WITHIN_VALUE)
            byte = opened.read(1)[0]
            opened.seek(place + _WITHIN_VALUE)
            opened.write(bytes([byte ^ 1]))
