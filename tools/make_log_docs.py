"""Make the tables of docs/logs.md from the code; what an event means is written there by hand, and is kept.

python tools/make_log_docs.py            write the tables
python tools/make_log_docs.py --check    change nothing; exit 1 if they are not as they would be written, or if an
                                         event has no word of explanation
"""

import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from log_events import Event, Line, events  # noqa: E402 - after the path, as said above
from made_pages import table, write_or_check  # noqa: E402

PAGE = ROOT / "docs" / "logs.md"
BEGIN, END = "<!-- events: made by tools/make_log_docs.py but for the last column -->", "<!-- end of events -->"
HEAD = ("event", "level", "fields", "what it means, and what to do")
_ROW = re.compile(r"^\| (?P<event>[^|]+) \| [^|]+ \| [^|]* \| (?P<meaning>[^|]*) \|$")
_LOGGER = re.compile(r"^### `(?P<logger>[^`]+)`$")


def meanings(text: str) -> dict[Event, str]:
    """Return what the page says of each event."""
    found, logger = {}, ""
    for line in text.splitlines():
        if heading := _LOGGER.match(line):
            logger = heading["logger"]
        elif (row := _ROW.match(line)) and logger:
            found[Event(row["event"], logger)] = row["meaning"].strip()
    return found


def tables(found: dict[Event, Line], known: dict[Event, str]) -> str:
    """Return a table for each logger."""
    return "\n".join(_tables(found, known))


def _tables(found: dict[Event, Line], known: dict[Event, str]) -> Iterator[str]:
    for logger, group in groupby(found.items(), key=lambda item: item[0].logger):
        rows = [
            (event.text, ", ".join(line.levels), ", ".join(f"`{field}`" for field in line.fields), known.get(event, ""))
            for event, line in group
        ]
        yield f"### `{logger}`\n\n{table(HEAD, rows)}"


def page(text: str, found: dict[Event, Line]) -> str:
    """Return the page with the tables of these events."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables(found, meanings(text))}\n{END}{after}"


def main(arguments: list[str], path: Path = PAGE, root: Path = ROOT) -> int:
    """Write or check the page; return the exit code."""
    found = events(root)
    wanted = page(path.read_text(encoding="utf-8"), found)
    silent = [event.text for event in found if not meanings(wanted).get(event)]
    if silent:
        print(f"docs/logs.md does not say what these lines mean: {'; '.join(silent)}", file=sys.stderr)
    code = write_or_check({path: wanted}, arguments, "tools/make_log_docs.py")
    return 1 if silent and "--check" in arguments else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
