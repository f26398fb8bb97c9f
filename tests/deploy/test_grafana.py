"""The dashboards: valid for Grafana, complete for a reader, and asking for what there is."""

import copy
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from dashboard_schema import faults
from dashboards import GRAFANA, VARIABLE, models, panels, queries, substituted
from grafana_foundation_sdk.models import units

ROOT = GRAFANA.parents[1]
MODELS = models()
RULES = ROOT / "deploy" / "prometheus" / "rules"
GIVEN_BY_GRAFANA = {"__rate_interval", "__value", "__url_time_range", "__all"}
UNITS = {value for value in vars(units).values() if isinstance(value, str)}
every_dashboard = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def test_the_files_are_as_the_generator_writes_them() -> None:
    tool = ROOT / "tools" / "make_dashboards.py"
    done = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_there_are_the_three_dashboards() -> None:
    titles = {uid: model["title"] for uid, model in MODELS.items()}
    assert titles == {
        "redoubt-cluster": "Redoubt: Cluster",
        "redoubt-node": "Redoubt: Node",
        "redoubt-sites": "Redoubt: Data centres",
    }


@every_dashboard
def test_a_dashboard_is_valid_by_the_published_schema(model: dict[str, Any]) -> None:
    assert faults(model) == []


@pytest.mark.parametrize(
    ("place", "value", "fault"),
    [
        (("titel",), "x", "/titel is not in the model"),
        (("editable",), "yes", "/editable is 'yes', not a bool"),
        (("panels", 1, "gridPos", "w"), "3", "/panels/1/grid_pos/w is '3', not a int"),
        (("panels", 1, "type"), "stats", "no panel is of type stats"),
        (
            ("panels", 1, "options", "colorMode"),
            "loud",
            "/panels/1/options/color_mode is 'loud', not a BigValueColorMode",
        ),
        (("panels", 1, "options", "color"), "red", "/panels/1/options/color is not in the model"),
        (("panels", 1, "targets", 0, "expression"), "up", "/panels/1/targets/0/expression is not in the model"),
        (("panels", 1, "links", 0, "targetBlank"), 1, "/panels/1/links/0/target_blank is 1, not a bool"),
        (
            ("panels", 1, "fieldConfig", "defaults", "units"),
            "s",
            "/panels/1/fieldConfig/defaults/units is not in the model",
        ),
        (("templating", "list", 0, "type"), "data", "/templating/list_val/0/type_val is 'data', not a VariableType"),
    ],
)
def test_the_check_finds_what_the_schema_does_not_allow(place: tuple[Any, ...], value: Any, fault: str) -> None:
    model = copy.deepcopy(MODELS["redoubt-cluster"])
    within: Any = model
    for step in place[:-1]:
        within = within[step]
    within[place[-1]] = value
    assert fault in faults(model)


@every_dashboard
def test_panels_have_numbers_of_their_own_and_do_not_lie_on_each_other(model: dict[str, Any]) -> None:
    everything = [*model["panels"], *(panel for row in model["panels"] for panel in row.get("panels", ()))]
    numbers = [panel["id"] for panel in everything]
    assert len(set(numbers)) == len(numbers)
    for shown in (model["panels"], *(row["panels"] for row in model["panels"] if row.get("panels"))):
        cells = Counter(cell for panel in shown for cell in _cells(**panel["gridPos"]))
        assert set(cells.values()) == {1}
        assert max(x for x, _ in cells) < 24


def _cells(x: int, y: int, w: int, h: int) -> list[tuple[int, int]]:
    return [(x + right, y + down) for right in range(w) for down in range(h)]


@every_dashboard
def test_every_panel_says_what_it_shows(model: dict[str, Any]) -> None:
    titles = [panel["title"] for panel in panels(model)]
    assert len(set(titles)) == len(titles), "two panels of one title"
    for panel in panels(model):
        assert panel["title"]
        assert re.fullmatch(r"[A-Z0-9].*[.]", panel["description"], re.DOTALL), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None, panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


@every_dashboard
def test_columns_of_tables_have_units_that_grafana_knows(model: dict[str, Any]) -> None:
    for panel in panels(model):
        for override in panel["fieldConfig"]["overrides"]:
            found = [each["value"] for each in override["properties"] if each["id"] == "unit"]
            assert set(found) <= UNITS, panel["title"]


@every_dashboard
def test_every_variable_that_is_used_is_there_and_described(model: dict[str, Any]) -> None:
    variables = {variable["name"]: variable for variable in model["templating"]["list"]}
    text = json.dumps(model)
    # ${x:queryparam} and $x; what Grafana gives itself begins with two underscores.
    used = {first or second for first, second in VARIABLE.findall(re.sub(r"\$\{(\w+)\.[\w.]+\}", r"$\1", text))}
    assert used - GIVEN_BY_GRAFANA <= set(variables)
    assert set(variables) <= used | {"runbooks"}
    assert all(variable["label"] and variable["description"] for variable in variables.values())


@every_dashboard
def test_alerts_are_shown_as_annotations_and_the_dashboards_lead_to_each_other(model: dict[str, Any]) -> None:
    assert [each["name"] for each in model["annotations"]["list"]] == ["Alerts"]
    assert {(link["type"], *link["tags"]) for link in model["links"]} == {("dashboards", "redoubt"), ("link",)}
    assert "redoubt" in model["tags"]
    assert set(re.findall(r"/d/([\w-]+)", json.dumps(model))) <= set(MODELS)


def test_every_alert_has_a_panel_that_leads_to_its_runbook_and_no_panel_leads_to_another_page() -> None:
    named = set(re.findall(r"/runbooks/([\w-]+)\.html", (RULES / "alerts.yml").read_text(encoding="utf-8")))
    linked = {
        page
        for model in MODELS.values()
        for panel in panels(model)
        for link in panel["links"]
        for page in re.findall(r"/([\w-]+)\.html$", link["url"])
    }
    assert linked == named
    assert all((ROOT / "docs" / "runbooks" / f"{page}.md").exists() for page in linked)


def test_a_table_makes_of_each_alert_the_name_of_its_runbook() -> None:
    text = (RULES / "alerts.yml").read_text(encoding="utf-8")
    [table] = [panel for panel in panels(MODELS["redoubt-cluster"]) if panel["title"] == "Alerts now"]
    [cells] = [each for each in table["fieldConfig"]["overrides"] if each["matcher"]["options"] == "Alert"]
    [mapping] = next(each["value"] for each in cells["properties"] if each["id"] == "mappings")
    for alert in re.findall(r"- alert: (\w+)", text):
        page = mapping["options"][alert]["text"]
        assert "Redoubt" + "".join(word.capitalize() for word in page.split("-")) == alert


def test_every_expression_is_one_that_prometheus_reads(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool is missing: run sh tools/system_components.sh test"
    rules = [
        {"record": f"query:{number}", "expr": substituted(asked.expression, rate_interval="1m", **_anything())}
        for number, asked in enumerate(queries())
    ]
    file = tmp_path / "queries.json"  # YAML reads JSON
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def _anything() -> dict[str, str]:
    return dict.fromkeys(("cluster", "proxy", "node", "site"), ".*")


def test_every_metric_is_one_of_the_reference_that_is_made_from_the_code() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    known = {"up", "ALERTS", *re.findall(r"^(?:- |\| )`([\w:]+)`", page, re.MULTILINE)}
    parts = {f"{name}_{part}" for name in known for part in ("bucket", "sum", "count")}
    for asked in queries():
        named = set(re.findall(r"([\w:]+)\{", asked.expression))
        assert named, asked
        assert named <= known | parts, asked


def test_every_selector_is_within_the_cluster_that_was_chosen() -> None:
    for asked in queries():
        selectors = re.findall(r"\{([^}]*)\}", asked.expression)
        assert selectors, asked
        assert all('cluster=~"$cluster"' in selector for selector in selectors), asked


def test_grafana_finds_the_data_source_and_the_dashboards_by_these_files() -> None:
    [source] = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert (source["type"], source["uid"], source["url"]) == (
        "prometheus",
        "redoubt-prometheus",
        "http://127.0.0.1:9090",
    )
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scraped
    [provider] = yaml.safe_load((GRAFANA / "provisioning/dashboards/redoubt.yaml").read_text())["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"] in (ROOT / "docs/grafana.md").read_text(encoding="utf-8")
