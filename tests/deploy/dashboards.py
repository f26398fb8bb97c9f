"""The dashboards of deploy/grafana as their files have them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

GRAFANA = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)(?::\w+)?\}")


class Asked(NamedTuple):
    """One query of one panel."""

    dashboard: str
    panel: str
    letter: str
    expression: str


def models() -> dict[str, dict[str, Any]]:
    """Return each dashboard by its uid."""
    read = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((GRAFANA / "dashboards").glob("*.json"))]
    return {model["uid"]: model for model in read}


def panels(model: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all panels, those of collapsed rows too; no headings."""
    found = [panel for row in model["panels"] for panel in (row, *row.get("panels", ()))]
    return [panel for panel in found if panel["type"] != "row"]


def queries() -> Iterator[Asked]:
    """Return every query of every panel, and those of annotations."""
    for uid, model in models().items():
        for panel in panels(model):
            for target in panel["targets"]:
                yield Asked(uid, panel["title"], target["refId"], target["expr"])
        for annotation in model["annotations"]["list"]:
            yield Asked(uid, annotation["name"], "annotation", annotation["expr"])


def substituted(expression: str, **values: str) -> str:
    """Return the expression with its variables replaced, as Grafana does it before it asks."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        return values["rate_interval" if name == "__rate_interval" else name]

    return VARIABLE.sub(value, expression)
