"""The wire's test vectors as the documentation shows them: tests/vectors -> Markdown."""

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

from made_pages import table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # So that it also runs where the packages are not installed.

from hsm_wire.statuses import STATUS_TABLE  # noqa: E402 - after the path, as said above

VECTORS = ROOT / "tests" / "vectors"
HEX_COLUMNS = 64


def hex_block(data: str) -> str:
    """Return hex in lines of 32 bytes: so the first line is the header."""
    return "```\n" + "\n".join(textwrap.wrap(data, HEX_COLUMNS)) + "\n```\n"


def vector_rows(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return rows


def body_line(row: dict[str, Any]) -> str:
    if row["form"] is None:
        return "no body"
    text = re.sub(r'\{"bin": "([0-9a-f]*)"\}', r"h'\1'", json.dumps(row["body"]))
    return f"{row['form']} `{text}`"


def frames_shown(name: str) -> str:
    sections = []
    for row in vector_rows(name):
        sender = f"{row['from']}: " if "from" in row else ""
        sections.append(f"**{sender}{row['name']}** — {body_line(row)}\n\n{hex_block(row['hex'])}")
    return "\n".join(sections)


def parameter_vectors_block() -> str:
    return table(("form", "bytes in hex"), ((row["form"], f"`{row['hex']}`") for row in vector_rows("parameters")))


def faults_block() -> str:
    names = {int(status): status.name for status in STATUS_TABLE}
    return table(
        ("what the client sends", "after HELLO and WELCOME", "bytes in hex", "status of the answer", "its request id"),
        (
            (
                row["name"],
                "yes" if row["greeted"] else "no",
                f"`{row['stream']}`",
                names[row["status"]],
                row["request_id"],
            )
            for row in vector_rows("faults")
        ),
    )
