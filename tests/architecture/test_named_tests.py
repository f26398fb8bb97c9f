"""What the documents say is held by a test is: each test that they name exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = {
    match.group(1): path
    for path in (ROOT / "tests").rglob("*.py")
    for match in re.finditer(r"^\s*(?:async )?def test_(\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
}


def named_in_bugs_found() -> list[str]:
    """Names after `::` in the table of bugs."""
    text = (ROOT / "docs/bugs-found.md").read_text(encoding="utf-8")
    return re.findall(r"::test_(\w+)`", text)


def rows_of(document: str) -> list[str]:
    """Return the rows of its tables."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    return [line.rstrip(" |") for line in text.splitlines() if line.startswith("| ")]


def named_in(row: str) -> list[str]:
    """Return the tests in a row's last column: `a_killed_node_...`, shortened where they are long."""
    return [name for name in re.findall(r"`([a-z]\w+(?:\.\.\.)?)`", row.rsplit("|", 1)[-1]) if name.count("_") > 2]


def named_in_failure_modes() -> list[str]:
    """Return all tests that the page names."""
    return [name for row in rows_of("failure-modes.md") for name in named_in(row)]


CANNOT = [row for row in rows_of("security.md") if "| cannot" in row]


@pytest.mark.parametrize("name", named_in_bugs_found())
def test_a_test_named_for_a_bug_exists(name: str) -> None:
    assert name in TESTS


@pytest.mark.parametrize("name", named_in_failure_modes())
def test_a_test_named_for_a_fault_exists(name: str) -> None:
    begin = name.removesuffix("...")
    assert any(test == name or (name != begin and test.startswith(begin)) for test in TESTS)


@pytest.mark.parametrize("row", CANNOT)
def test_what_an_attacker_cannot_do_is_tried_by_a_test(row: str) -> None:
    names = named_in(row)
    assert names
    assert [name for name in names if name not in TESTS] == []


def test_there_are_names_to_look_for() -> None:
    assert len(named_in_bugs_found()) > 10
    assert len(named_in_failure_modes()) > 10
    assert len(CANNOT) > 30
