"""Columns of cells, lined up over all their rows; columns that matter less go first where the page is narrow."""

from collections.abc import Sequence
from typing import Final

import msgspec
from rich.text import Text

GAP: Final = 2
"""Spaces between two columns."""


class Column(msgspec.Struct, frozen=True):
    """One column. Of those with a `rank` above 0 the highest goes first where there is no room."""

    title: str
    right: bool = False
    rank: int = 0


class Grid:
    """Rows of cells; `width` is that of the page."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int) -> None:
        self._columns = columns
        longest = [[len(column.title), *(row[at].cell_len for row in rows)] for at, column in enumerate(columns)]
        self._widths = [max(lengths) for lengths in longest]
        self._shown = list(range(len(columns)))
        while self._total() > width and (rank := max(columns[at].rank for at in self._shown)) > 0:
            self._shown = [at for at in self._shown if columns[at].rank != rank]

    def head(self) -> Text:
        """Return the line of titles."""
        return self.line([Text(column.title, "dim") for column in self._columns])

    def line(self, cells: Sequence[Text]) -> Text:
        """Return one row as a line."""
        line = Text(no_wrap=True, overflow="ellipsis")
        for at in self._shown:
            if at != self._shown[0]:
                line.append(" " * GAP)
            fill = " " * max(self._widths[at] - cells[at].cell_len, 0)
            line.append_text(Text.assemble(fill, cells[at]) if self._columns[at].right else cells[at] + Text(fill))
        return line

    def _total(self) -> int:
        return sum(self._widths[at] for at in self._shown) + GAP * (len(self._shown) - 1)
