"""What a command prints: text for people or, with --json, one JSON document and nothing else."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hsmctl.failures import CommandError
from hsmctl.printable import printable

WHOLE_COLUMNS = ("id", "type", "created (UTC)")
"""What is of no use if cut or broken."""


class Output:
    """Prints results to standard output, notes to standard error."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, document: object, text: str | None = None) -> None:
        """Print the document as JSON, or the lines of the text (nothing if it is None), all of it printable."""
        shown = json.dumps(document, indent=2) if self.as_json else _lines(text)
        if shown is not None:
            with standard_output():
                click.echo(shown)

    def table(self, document: object, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print the document as JSON, or the rows as a table that pipes stay readable through, all of it printable."""
        if self.as_json:
            self.result(document)
            return
        safe = [[printable(cell) for cell in row] for row in rows]
        with standard_output():
            if not sys.stdout.isatty():
                for line in (columns, *safe):
                    click.echo("\t".join(line))
                return
            table = Table(box=None, pad_edge=False, header_style="bold")
            for column in columns:
                table.add_column(column, no_wrap=column in WHOLE_COLUMNS, overflow="fold")
            for cells in safe:
                table.add_row(*map(Text, cells))  # Text: a label in brackets is no markup
            Console().print(table)

    def note(self, text: str) -> None:
        """Say something beside the result, on one printable line."""
        if not self.as_json:
            click.echo(printable(text), err=True)


def _lines(text: str | None) -> str | None:
    return None if text is None else "\n".join(map(printable, text.split("\n")))


@contextmanager
def standard_output() -> Iterator[None]:
    """Say what happened where standard output takes no more; a reader that has left is another matter."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(
            f"cannot write to standard output: {error.strerror}; what was asked is done, send the output elsewhere"
        ) from None


def pairs(fields: Mapping[str, object]) -> str:
    """Return fields as aligned lines, all of it printable."""
    width = max(map(len, fields), default=0)
    return "\n".join(f"{name:<{width}}  {printable(str(value))}" for name, value in fields.items())
