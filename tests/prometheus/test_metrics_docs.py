"""docs/metrics.md is as the code makes it, and nothing speaks of a metric that does not exist."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules"
NAME = re.compile(r"(?<![:\w])hsm_(?:proxy|node)_[a-z_]*[a-z](?![\w:])")


@pytest.fixture(scope="module")
def tool(load_tool: Callable[[str], ModuleType]) -> ModuleType:
    return load_tool("make_metrics_docs")


def test_the_page_is_as_the_tool_makes_it(tool: ModuleType) -> None:
    assert tool.main(["--check"]) == 0


def test_a_page_that_was_edited_is_found_and_made_again(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "metrics.md"
    shutil.copy(tool.PAGE, page)
    page.write_text(page.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    assert tool.main(["--check"], page) == 1
    assert "metrics.md is out of date" in capsys.readouterr().err
    assert tool.main([], page) == 0
    assert page.read_text(encoding="utf-8") == tool.page()


def test_rules_runbooks_and_pages_name_only_metrics_that_exist(tool: ModuleType) -> None:
    known = tool.names() | {row.name for row in tool.rows([*tool.proxy_families(), *tool.node_families()])}
    recorded = set(tool.recordings((RULES / "recording.yml").read_text(encoding="utf-8")))
    files = [*RULES.glob("*.yml"), *(ROOT / "docs").rglob("*.md")]
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert set(NAME.findall(text)) - known - {"hsm_proxy", "hsm_node"} == set(), file
        assert set(re.findall(r"\b[a-z_]+:hsm_\w+:\w+", text)) - recorded == set(), file


def test_labels_are_those_of_the_design(tool: ModuleType) -> None:
    families = [*tool.proxy_families(), *tool.node_families()]
    labels = {label for row in tool.rows(families) for label in row.labels.split(", ") if label}
    of_the_thing = {"node", "site", "path", "operation", "status_class", "reason", "state", "fault", "role", "member"}
    of_the_thing |= {"worker"}  # a number, as many as proxy.toml says
    of_the_thing |= {"partition"}  # of cluster.toml, as sites and nodes are: no client chooses its name
    assert labels == of_the_thing | {"hash", "version", "python"}


def test_names_have_the_prefix_of_their_daemon_and_counters_end_in_total(tool: ModuleType) -> None:
    for prefix, families in (("hsm_proxy_", tool.proxy_families()), ("hsm_node_", tool.node_families())):
        for row in tool.rows(families):
            assert row.name.startswith(prefix)
            assert (row.kind == "counter") == row.name.endswith("_total")
            assert row.text.endswith(".")
