"""What panels are made of: queries, panels of each kind, tables.

Expressions are written without the labels that choose a cluster: `scoped` adds the variables to each metric in them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Json = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}

# A metric of a daemon, a recorded one (level:metric:operation), or one of Prometheus' own; and whether labels follow.
_METRIC = re.compile(r"(?<!\")\b((?:(?:\w+:)?hsm_\w+(?::\w+)?)|etcd_\w+|up|ALERTS)\b(?!\()(\{)?")
_BY_PROXY = re.compile(r"hsm_proxy_|proxy:|proxy_node:")
_CLUSTER = 'cluster=~"$cluster"'
_PROXY = f'{_CLUSTER}, proxy=~"$proxy"'

RUNBOOKS = "${runbooks:raw}"
"""Where docs/runbooks are published: a variable of each dashboard."""

Steps = Sequence[tuple[float | None, str]]
"""Thresholds: (from this value on, colour); the first value is None, from minus infinity."""
Values = Mapping[int, tuple[str, str]]
"""What numbers are called: value -> (text, colour)."""


class Query(NamedTuple):
    """One PromQL expression and what its series are called: `{{label}}` stands for a label's value."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """A panel without its place."""

    width: int
    height: int
    model: Json


def scoped(expression: str) -> str:
    """Return the expression with the dashboard's variables in every selector."""

    def scope(found: re.Match[str]) -> str:
        labels = _PROXY if _BY_PROXY.match(found[1]) else _CLUSTER
        return f"{found[1]}{{{labels}" + (", " if found[2] else "}")

    return _METRIC.sub(scope, re.sub(r"\s+", " ", expression.strip()))


def page_link(title: str, url: str, tooltip: str) -> Json:
    """Return a link to a page that is no dashboard."""
    shown = {"title": title, "type": "link", "icon": "doc", "tooltip": tooltip, "url": url, "tags": []}
    return shown | {"asDropdown": False, "targetBlank": True, "includeVars": False, "keepTime": False}


def stat(
    title: str, text: str, unit: str, query: str, *, steps: Steps, values: Values | None = None, width: int = 3
) -> Panel:
    """Return one large number with a colour, and its course as a shadow."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background",
        "graphMode": "none" if values else "area",
        "textMode": "value",
        "justifyMode": "center",
        "orientation": "auto",
        "wideLayout": True,
    }
    defaults = _defaults(unit, steps, values)
    return _panel("stat", title, text, [Query(query, title)], options, defaults, width=width, height=4)


def lines(
    title: str,
    text: str,
    unit: str,
    *queries: Query,
    steps: Steps = (),
    stacked: bool = False,
    at_most: float | None = None,
    width: int = 8,
) -> Panel:
    """Return lines over time; `steps` become lines of their colour, from the second one on."""
    custom: Json = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 40 if stacked else 8,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if steps else "off"},
    }
    defaults = _defaults(unit, steps) | {"custom": custom, "color": {"mode": "palette-classic"}, "min": 0}
    if at_most is not None:
        defaults["max"] = at_most
    options = {"legend": _legend(["lastNotNull", "max"]), "tooltip": {"mode": "multi", "sort": "desc"}}
    return _panel("timeseries", title, text, queries, options, defaults, width=width, height=8)


def deviations(title: str, text: str, unit: str, *queries: Query, steps: Steps, width: int = 8) -> Panel:
    """Return lines that may be below zero."""
    panel = lines(title, text, unit, *queries, steps=steps, width=width)
    del panel.model["fieldConfig"]["defaults"]["min"]
    return panel


def timeline(title: str, text: str, query: Query, values: Values, *, width: int = 12) -> Panel:
    """Return a coloured bar for each series, a colour for each state."""
    options = {
        "showValue": "auto",
        "rowHeight": 0.85,
        "mergeValues": True,
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    custom = {"lineWidth": 0, "fillOpacity": 80}
    defaults = _defaults("none", (), values) | {"custom": custom}
    return _panel("state-timeline", title, text, [query], options, defaults, width=width, height=8)


def heatmap(title: str, text: str, unit: str, query: str, *, width: int = 8) -> Panel:
    """Return the buckets of a histogram over time."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Spectral", "fill": "red", "scale": "exponential", "exponent": 0.5}
        | {"steps": 64, "reverse": True},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
    }
    panel = _panel("heatmap", title, text, [Query(query, "{{le}}")], options, _defaults(unit), width=width, height=8)
    panel.model["targets"][0]["format"] = "heatmap"
    return panel


class Column(NamedTuple):
    """A column: its heading ("": not shown), its expression with one series per row, and how its numbers look."""

    heading: str
    expression: str
    unit: str = "short"
    steps: Steps = ()
    values: Values | None = None


def table(
    title: str,
    text: str,
    labels: Mapping[str, str],
    columns: Sequence[Column],
    *,
    headings: Mapping[str, Mapping[str, Any]] | None = None,
    width: int = 12,
    height: int = 8,
) -> Panel:
    """Return a table: a row for each combination of labels (label -> heading), as things are now.

    Args:
        headings: by heading of a label, properties of its cells: where a click leads, what texts are called.
    """
    names = [f"Value #{letter}" for letter in _letters(columns)] if len(columns) > 1 else ["Value"]
    headings_of = dict(zip(names, (column.heading for column in columns), strict=True))
    renamed = dict(labels) | {name: heading for name, heading in headings_of.items() if heading}
    hidden = {"Time": True} | {name: True for name, heading in headings_of.items() if not heading}
    order = {name: place for place, name in enumerate(renamed)}
    organize = {"excludeByName": hidden, "indexByName": order, "renameByName": renamed}
    merge: list[Json] = [{"id": "merge", "options": {}}] if len(columns) > 1 else []
    queries = [Query(column.expression, column.heading or title) for column in columns]
    options = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "countRows": False, "reducer": []}}
    defaults = _defaults(columns[0].unit) | {"custom": {"align": "auto", "inspect": False, "filterable": True}}
    panel = _panel("table", title, text, queries, options, defaults, width=width, height=height)
    panel.model["transformations"] = [*merge, {"id": "organize", "options": organize}]
    overrides = [_column_override(column) for column in columns if column.heading]
    overrides += [_override(heading, properties) for heading, properties in (headings or {}).items()]
    panel.model["fieldConfig"]["overrides"] = overrides
    for target in panel.model["targets"]:
        del target["range"]
        target |= {"instant": True, "format": "table"}
    return panel


def _panel(
    kind: str,
    title: str,
    text: str,
    queries: Iterable[Query],
    options: Json,
    defaults: Json,
    *,
    width: int,
    height: int,
) -> Panel:
    queries = list(queries)
    targets = [
        {
            "refId": letter,
            "datasource": DATASOURCE,
            "expr": scoped(query.expression),
            "legendFormat": query.legend,
            "range": True,
            "editorMode": "code",
        }
        for letter, query in zip(_letters(queries), queries, strict=True)
    ]
    model = {
        "type": kind,
        "title": title,
        "description": text,
        "datasource": DATASOURCE,
        "targets": targets,
        "options": options,
        "fieldConfig": {"defaults": defaults, "overrides": []},
    }
    return Panel(width, height, model)


def _defaults(unit: str, steps: Steps = (), values: Values | None = None) -> Json:
    numbers = steps or ((None, "green"),)
    defaults: Json = {
        "unit": unit,
        "noValue": "no data",
        "color": {"mode": "thresholds"},
        "thresholds": {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in numbers]},
    }
    if values is not None:
        defaults["mappings"] = [_mapping(values)]
    return defaults


def _mapping(values: Values) -> Json:
    named = {
        str(value): {"text": text, "color": colour, "index": place}
        for place, (value, (text, colour)) in enumerate(values.items())
    }
    return {"type": "value", "options": named}


def _column_override(column: Column) -> Json:
    properties: Json = {"unit": column.unit}
    if column.values is not None:
        properties["mappings"] = [_mapping(column.values)]
    if column.steps:
        properties["thresholds"] = _defaults("", column.steps)["thresholds"]
    if column.values is not None or column.steps:
        properties["custom.cellOptions"] = {"type": "color-text"}
    return _override(column.heading, properties)


def _override(heading: str, properties: Mapping[str, Any]) -> Json:
    matcher = {"id": "byName", "options": heading}
    return {"matcher": matcher, "properties": [{"id": name, "value": value} for name, value in properties.items()]}


def _legend(calculated: list[str]) -> Json:
    return {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": calculated}


def _letters(things: Iterable[object]) -> list[str]:
    return [chr(ord("A") + place) for place, _ in enumerate(things)]
