"""A whole dashboard: its variables, links and annotations, and where its panels are."""

from collections.abc import Iterable
from typing import NamedTuple

from grafana.alerts import runbook_links
from grafana.panels import DATASOURCE, RUNBOOKS, Json, Panel, page_link, scoped

COLUMNS = 24
"""Of Grafana's grid."""
SCHEMA_VERSION = 41
"""Of the dashboard model of Grafana 11.6; newer ones read it."""
RUNBOOKS_AT = "https://redoubt.example/docs/runbooks"
"""As in deploy/prometheus/rules/alerts.yml: to be replaced with the address of the operator's own copy."""
UIDS = {"Cluster": "redoubt-cluster", "Node": "redoubt-node", "Data centres": "redoubt-sites"}
TAG = "redoubt"


class Row(NamedTuple):
    """A heading with its panels, laid out from left to right."""

    title: str
    panels: list[Panel]
    collapsed: bool = False


def variable(name: str, label: str, text: str, query: str, *, several: bool = True) -> Json:
    """Return a variable whose values are those of a label; "All" matches series without the label, too."""
    everything = {"selected": True, "text": "All", "value": "$__all"}
    return {
        "type": "query",
        "name": name,
        "label": label,
        "description": text,
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2,
        "sort": 1,
        "multi": several,
        "includeAll": several,
        "hide": 0,
        **({"allValue": ".*", "current": everything} if several else {}),
    }


def dashboard(title: str, text: str, variables: Iterable[Json], rows: Iterable[Row]) -> Json:
    """Return the whole model of a dashboard."""
    return {
        "uid": UIDS[title],
        "title": f"Redoubt: {title}",
        "description": text,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "10s",
        "timezone": "browser",
        "links": _links(),
        "annotations": {"list": [_alerts_as_annotations()]},
        "templating": {"list": [*_common_variables(), *variables]},
        "panels": _laid_out(rows),
    }


def link_to(title: str, name: str, value: str) -> Json:
    """Return a link of a table's cell to another dashboard with this variable set."""
    kept = "${datasource:queryparam}&${cluster:queryparam}&${__url_time_range}"
    return {"title": f"Show in {title}", "url": f"/d/{UIDS[title]}?var-{name}={value}&{kept}"}


def _common_variables() -> list[Json]:
    proxies = 'label_values(hsm_proxy_node_state{cluster=~"$cluster"}, proxy)'
    return [
        {
            "type": "datasource",
            "name": "datasource",
            "label": "Prometheus",
            "description": "The Prometheus that scrapes the cluster.",
            "query": "prometheus",
            "refresh": 1,
            "hide": 0,
        },
        {
            "type": "textbox",
            "name": "runbooks",
            "label": "Runbooks",
            "description": "Where your copy of docs/runbooks is published.",
            "query": RUNBOOKS_AT,
            "current": {"selected": True, "text": RUNBOOKS_AT, "value": RUNBOOKS_AT},
            "hide": 2,
        },
        variable(
            "cluster", "Cluster", "Label `cluster` of the targets.", "label_values(hsm_proxy_node_state, cluster)"
        ),
        variable("proxy", "Proxy", "Whose view of the nodes; all of them by default.", proxies),
    ]


def _links() -> list[Json]:
    others = {
        "title": "Redoubt",
        "type": "dashboards",
        "icon": "external link",
        "tooltip": "The other dashboards, for the same cluster and time",
        "url": "",
        "tags": [TAG],
        "asDropdown": False,
        "targetBlank": False,
        "includeVars": True,
        "keepTime": True,
    }
    return [others, page_link("Runbooks", f"{RUNBOOKS}/", "What each alert means, and what to do about it")]


def _alerts_as_annotations() -> Json:
    # Grafana's schema leaves annotations open for what a data source needs: the last four are Prometheus' own.
    return {
        "name": "Alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "red",
        "expr": scoped('ALERTS{alertstate="firing"}'),
        "step": "15s",
        "titleFormat": "{{alertname}}",
        "textFormat": "{{site}} {{node}} {{proxy}}",
        "tagKeys": "severity",
    }


def _laid_out(rows: Iterable[Row]) -> list[Json]:
    """Give every panel its id and its place: a row is filled from the left, and wraps."""
    placed: list[Json] = []
    number, top = 0, 0
    for row in rows:
        number += 1
        heading = {"type": "row", "id": number, "title": row.title, "collapsed": row.collapsed, "panels": []}
        placed.append(heading | {"gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1}})
        top += 1
        left, tallest = 0, 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top, tallest = 0, top + tallest, 0
            number += 1
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            numbered = {"id": number, "gridPos": place, **panel.model, "links": runbook_links(panel.model["title"])}
            (placed[-1]["panels"] if row.collapsed else placed).append(numbered)
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return placed
