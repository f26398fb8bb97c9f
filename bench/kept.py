"""The measurements that docs/performance.md shows: kept as data, so that the page can be made anew from them.

A run that measures a part replaces the rows of that part; each row has the day on which it was measured.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
KEPT: Final = DOCS / "performance.json"
_NAMES: Final = ("study", "workload", "size", "tls", "peer", "build", "mode", "operation", "program")
"""Of the fields that say what a row is of."""
Row = dict[str, Any]


class Kept(NamedTuple):
    """What is in the file."""

    machine: dict[str, str]
    rows: list[Row]


def identity(row: Row) -> tuple[object, ...]:
    """Return what a row is of: measured again, it is replaced."""
    return tuple(row.get(name) for name in _NAMES)


def load(path: Path = KEPT) -> Kept:
    """Return what is kept; nothing where there is no file."""
    if not path.exists():
        return Kept({}, [])
    found = json.loads(path.read_text())
    return Kept(found["machine"], found["rows"])


def merged(kept: Kept, machine: dict[str, str], rows: Iterable[Row], day: str) -> Kept:
    """Return what is kept with new rows in place of old ones of the same things."""
    new = {identity(row): {**row, "day": day} for row in rows}
    old = {identity(row): row for row in kept.rows}
    return Kept(machine, list((old | new).values()))


def save(kept: Kept, path: Path = KEPT) -> None:
    """Write the file: one row a line, so that a change shows what changed."""
    rows = ",\n".join("  " + json.dumps(row) for row in sorted(kept.rows, key=lambda row: str(identity(row))))
    path.write_text(f'{{\n"machine": {json.dumps(kept.machine, indent=2)},\n"rows": [\n{rows}\n]\n}}\n')
