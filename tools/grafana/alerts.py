"""The alerts of deploy/prometheus/rules/alerts.yml: how a table calls them, and which runbook each leads to."""

import re
from pathlib import Path
from typing import Any

from grafana.panels import RUNBOOKS, Json, page_link

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "rules" / "alerts.yml"
PANELS = {
    "no-node-in-rotation": ("Nodes in rotation",),
    "one-node-left": ("Nodes in rotation",),
    "one-site-left": ("Sites in rotation", "Data centres in rotation"),
    "node-out": ("Nodes over time", "State over time", "State"),
    "path-down": ("Paths down", "Paths over time"),
    "worker-restarts": ("Proxies up",),
    "sealed-nodes": ("Sealed nodes", "Shares given and needed"),
    "target-down": ("Proxies up", "Scraped"),
    "store-stale": ("Nodes without store", "Store"),
    "store-member-out": ("Nodes without store", "Store"),
    "store-near-quota": ("Quota used by members", "Changes of partitions"),
    "store-disk-slow": ("Disks of members",),
    "store-leader-changes": ("New leaders",),
    "store-proposals-fail": ("Changes without a majority",),
    "store-proposals-wait": ("Changes without a majority",),
    "dr-pending": ("Revisions behind",),
    "dr-lags": ("Copies behind in time", "Copies behind in records"),
    "dr-out": ("Copies behind in time", "Sealed and standing by"),
    "changes-name-a-node": ("Named by changes",),
    "stores-disagree": ("Nodes that disagree", "Faults of stores", "Faults of its store"),
    "drill-failed": ("Last drill", "Faults of the last drill"),
    "drill-missing": ("Last good drill",),
    "certificate-expires-soon": ("Certificates expire in",),
    "certificate-expires-now": ("Certificates expire in",),
    "clock-skew": ("Clocks",),
    "configurations-differ": ("Configuration in use",),
    "reload-failed": ("Reloads",),
    "no-recent-backup": ("Age of the last good backup",),
    "backup-not-good": ("Last backup good",),
    "error-budget-burns-fast": ("Answered well", "Error budget"),
    "error-budget-burns-slowly": ("Error budget",),
    "uneven-distribution": ("Off the fair share",),
    "slow-node": ("Mean time of each node", "Given less because slow"),
    "overloaded": ("Load", "Overloaded"),
    "retries-above-budget": ("Further attempts",),
    "partition-near-quota": ("Used by partitions",),
}
"""Runbook -> titles of the panels that show what it is about, and so lead to it."""

_ALERT = re.compile(r"^ +- alert: (\w+)$.*?/runbooks/([\w-]+)\.html", re.MULTILINE | re.DOTALL)


def runbooks() -> dict[str, str]:
    """Return the name of each alert's runbook."""
    return dict(_ALERT.findall(RULES.read_text(encoding="utf-8")))


def alert_cells() -> dict[str, Any]:
    """Return what makes of an alert's name that of its runbook, and of that a link to the page."""
    named = {alert: {"text": page, "index": place} for place, (alert, page) in enumerate(runbooks().items())}
    link = {"title": "Runbook", "url": f"{RUNBOOKS}/${{__value.text}}.html", "targetBlank": True}
    return {"mappings": [{"type": "value", "options": named}], "links": [link]}


def runbook_links(title: str) -> list[Json]:
    """Return the links of a panel to the runbooks that it helps with."""
    tooltip = "What the alert means, and what to do"
    names = [name for name, titles in PANELS.items() if title in titles]
    return [page_link(f"Runbook: {name}", f"{RUNBOOKS}/{name}.html", tooltip) for name in names]
