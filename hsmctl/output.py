"""What a command prints: text for people or, with --json, one JSON document and nothing else."""

import json
import sys
from collections.abc import Mapping, Sequence

import click
from rich.console import Console
from rich.table import Table


class Output:
    """Prints results to standard output, notes to standard error."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, document: object, text: str | None = None) -> None:
        """Print the document as JSON, or the text (nothing if it is None)."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2))
        elif text is not None:
            click.echo(text)

    def table(self, document: object, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print the document as JSON, or the rows as a table that pipes stay readable through."""
        if self.as_json:
            self.result(document)
            return
        if not sys.stdout.isatty():
            for row in (columns, *rows):
                click.echo("\t".join(row))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, no_wrap=column == "id")
        for row in rows:
            table.add_row(*row)
        Console().print(table)

    def note(self, text: str) -> None:
        """Say something beside the result."""
        if not self.as_json:
            click.echo(text, err=True)


def pairs(fields: Mapping[str, object]) -> str:
    """Return fields as aligned lines."""
    width = max(map(len, fields), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in fields.items())
