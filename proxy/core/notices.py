"""What the core found out and somebody should read: the shell makes log lines of it."""

from typing import Final

import msgspec

MAX_NOTICES: Final = 256
"""Kept until the shell takes them, once a beat; more in one beat say nothing new."""


class Notice(msgspec.Struct, frozen=True):
    """One line: an event in words, and its fields."""

    text: str
    fields: dict[str, str | int | float]
    level: str = "warning"
    """Or `error`, where keys may not be what they should be."""


class Notices:
    """Those that were not taken yet."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: list[Notice] = []

    def add(self, text: str, *, level: str = "warning", **fields: str | int | float) -> None:
        """Keep one."""
        if len(self._kept) < MAX_NOTICES:
            self._kept.append(Notice(text, fields, level))

    def take(self) -> list[Notice]:
        """Return what came since the last call."""
        kept, self._kept = self._kept, []
        return kept
