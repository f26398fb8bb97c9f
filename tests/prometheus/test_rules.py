"""The rules in deploy/prometheus, judged by promtool; each alert has its tests and its page."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOYED = ROOT / "deploy" / "prometheus"
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS = (DEPLOYED / "rules" / "alerts.yml").read_text(encoding="utf-8")
TESTS = sorted((DEPLOYED / "tests").glob("*.yml"))
SECTIONS = ("What it means", "What clients notice", "What to look at", "What to do")
NAMES = re.findall(r"^ +- alert: (\w+)$", ALERTS, re.MULTILINE)


def promtool(*arguments: str) -> str:
    """Run promtool, which must be content; return what it said."""
    program = shutil.which("promtool")
    assert program is not None, "promtool is missing: run sh tools/system_components.sh test"
    done = subprocess.run([program, *arguments], cwd=DEPLOYED, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def page_of(alert: str) -> str:
    """RedoubtOneNodeLeft -> one-node-left."""
    return re.sub(r"(?<=.)([A-Z])", r"-\1", alert.removeprefix("Redoubt")).lower()


def test_promtool_takes_the_rules() -> None:
    said = promtool("check", "rules", *map(str, sorted((DEPLOYED / "rules").glob("*.yml"))))
    assert said.count("SUCCESS") == 2


def test_promtool_takes_the_scrape_configuration() -> None:
    promtool("check", "config", "prometheus.yml")


@pytest.mark.parametrize("file", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(file: Path) -> None:
    promtool("test", "rules", str(file))


def test_each_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in TESTS)
    expectations = re.findall(r'alertname="(\w+)".*\n +eval_time: .*\n +exp_samples:(.*)$', text, re.MULTILINE)
    fires = {name for name, samples in expectations if samples == ""}
    quiet = {name for name, samples in expectations if samples == " []"}
    assert fires == quiet == set(NAMES)


def test_each_alert_has_a_severity_and_three_annotations() -> None:
    for block in re.split(r"^ +- alert: ", ALERTS, flags=re.MULTILINE)[1:]:
        name = block.split("\n", 1)[0]
        assert re.search(r"^ +severity: (critical|warning)$", block, re.MULTILINE), name
        assert re.search(r"^ +for: \d+[smh]$", block, re.MULTILINE), name
        assert set(re.findall(r"^ +(summary|description|runbook_url): ", block, re.MULTILINE)) == {
            "summary",
            "description",
            "runbook_url",
        }, name
        assert f"/runbooks/{page_of(name)}.html" in block, name


def test_each_alert_has_its_page_and_each_page_its_alert() -> None:
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == {page_of(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_what_it_means_what_clients_notice_where_to_look_and_what_to_do(name: str) -> None:
    text = (RUNBOOKS / f"{page_of(name)}.md").read_text(encoding="utf-8")
    severity = re.search(rf"alert: {name}\n.*?severity: (\w+)", ALERTS, re.DOTALL)
    assert severity is not None
    assert text.startswith(f"# {name}\n\n**{severity[1].capitalize()}.** ")
    assert tuple(re.findall(r"^## (.*)$", text, re.MULTILINE)) == SECTIONS
    assert all(part.strip() for part in re.split(r"^## .*$", text, flags=re.MULTILINE))
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (RUNBOOKS / target).exists(), target


def test_no_rule_tells_of_a_client_a_key_or_a_request() -> None:
    text = ALERTS + (DEPLOYED / "rules" / "recording.yml").read_text(encoding="utf-8")
    assert not re.search(r"\b(client|key|request_id|identity)\s*[=,)]", text)
