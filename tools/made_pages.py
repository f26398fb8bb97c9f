"""Pages that a program makes from the code: written, or with --check compared with what is kept."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def write_or_check(pages: Mapping[Path, str], arguments: Sequence[str], command: str) -> int:
    """Write the pages that are not as they should be, or name them; return the exit code.

    Args:
        pages: each as it should be.
        arguments: of the program; with --check nothing is written.
        command: what to run where a page is out of date.
    """
    stale = {path: text for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text}
    if "--check" not in arguments:
        for path, text in stale.items():
            path.write_text(text, "utf-8")
        return 0
    for path in stale:
        print(f"{path.name} is out of date: run {command}", file=sys.stderr)
    return 1 if stale else 0


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table."""
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
