"""The pages of docs/reference that tools/make_reference.py makes are current, and leave nothing without a word."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def tool(load_tool: Callable[[str], ModuleType]) -> ModuleType:
    return load_tool("make_reference")


def test_the_pages_are_as_the_tool_makes_them(tool: ModuleType) -> None:
    assert tool.main(["--check"]) == 0, "run make reference"


def test_a_page_that_was_edited_is_found_and_made_again(
    tool: ModuleType, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("configuration.md", "cli.md"):
        shutil.copy(root / "docs" / "reference" / name, tmp_path / name)
    page = tmp_path / "configuration.md"
    page.write_text(page.read_text(encoding="utf-8").replace("10,000", "10,001"), encoding="utf-8")
    assert tool.main(["--check"], tmp_path) == 1
    assert "configuration.md is out of date" in capsys.readouterr().err
    assert tool.main([], tmp_path) == 0
    assert tool.main(["--check"], tmp_path) == 0


def test_every_key_and_every_option_has_a_meaning(tool: ModuleType, root: Path) -> None:
    pages = tool.pages(root / "docs" / "reference")
    rows = [line for text in pages.values() for line in text.splitlines() if re.match(r"\| `", line)]
    assert len(rows) > 200
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_program_and_command_is_there(tool: ModuleType, root: Path) -> None:
    text = tool.pages(root / "docs" / "reference")[root / "docs" / "reference" / "cli.md"]
    for heading in ("## hsmctl\n", "## hsm-proxy\n", "## hsm-node\n", "### hsmctl key generate\n"):
        assert heading in text
