"""Pages on a terminal or elsewhere: colours only where somebody looks at them, and not with NO_COLOR."""

import io
import sys
from collections.abc import Iterable, Sequence
from typing import Final, Self

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live

from hsmctl.output import standard_output

PIPE_COLUMNS: Final = 1000
"""Width of what goes to a file or pipe: no line is broken there, so that each can be searched for."""


def terminal() -> Console:
    """Return the terminal behind standard output. rich itself heeds NO_COLOR and terminals without colours."""
    _take_any_sign()
    return Console(highlight=False)


def show(page: Iterable[RenderableType]) -> None:
    """Print a page to standard output."""
    with standard_output():
        if sys.stdout.isatty():
            terminal().print(*page, sep="\n")
        else:
            _take_any_sign()
            click.echo(plain(page, PIPE_COLUMNS))


def plain(page: Iterable[RenderableType], columns: int) -> str:
    """Return a page as text without colours and without spaces at the ends of lines."""
    console = Console(highlight=False, width=columns, color_system=None, force_terminal=False)
    with console.capture() as taken:
        console.print(*page, sep="\n")
    return "\n".join(line.rstrip() for line in taken.get().splitlines())


class Drawing:
    """A page that is drawn over itself; what it showed last stays there at the end."""

    def __init__(self, *, on: bool) -> None:
        self._live = Live(console=terminal(), auto_refresh=False, vertical_overflow="crop") if on else None

    def draw(self, page: Sequence[RenderableType]) -> None:
        """Draw it."""
        if self._live is not None:
            with standard_output():
                self._live.update(Group(*page), refresh=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()


def _take_any_sign() -> None:
    # A terminal of an older encoding shows `?` for a sign that it does not have, and words beside it.
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.encoding.lower() != "utf-8":
        sys.stdout.reconfigure(errors="replace")
