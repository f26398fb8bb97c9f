"""The pages about the wire are those that the code makes, and say what the code does."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from hsm_wire import kinds, limits
from hsm_wire.frames import FrameSplitter, encode_frame
from hsm_wire.kinds import Kind

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tool(load_tool: Callable[[str], ModuleType]) -> ModuleType:
    return load_tool("make_wire_docs")


def test_the_pages_are_as_the_tool_makes_them(tool: ModuleType) -> None:
    assert tool.main(["--check"]) == 0


def test_a_page_that_was_edited_is_found_and_made_again(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for page in ("protocol.md", "statuses.md", "mechanisms.md"):
        shutil.copy(ROOT / "docs" / page, tmp_path / page)
    edited = PAGE.replace("| 1 | HELLO |", "| 11 | HELLO |")
    assert edited != PAGE
    (tmp_path / "protocol.md").write_text(edited, encoding="utf-8")
    assert tool.main(["--check"], tmp_path) == 1
    assert "protocol.md is out of date" in capsys.readouterr().err
    assert (tmp_path / "protocol.md").read_text(encoding="utf-8") == edited
    assert tool.main([], tmp_path) == 0
    assert (tmp_path / "protocol.md").read_text(encoding="utf-8") == PAGE


def test_a_page_without_a_marker_is_refused(tool: ModuleType) -> None:
    with pytest.raises(SystemExit, match="states"):
        tool.filled(PAGE.replace("<!-- generated: states -->", ""))


def rules() -> dict[str, list[str]]:
    """The table of the fields that may be other than 0, as the page has it."""
    rows = re.findall(r"^\| ([A-Z]+) \| (.*) \|$", PAGE.split("Which fields may be other than 0")[1], re.MULTILINE)
    return {name: cells.split(" | ") for name, cells in rows[: len(Kind)]}


@pytest.mark.parametrize("kind", list(Kind))
def test_header_fields_that_the_page_says_are_0_are_checked_and_others_not(kind: Kind) -> None:
    names = ("flags", "request_id", "timeout_ms", "principal", "opcode", "status", "operation_id")
    row = rules()[kind.name]
    for name, rule in zip(names, row, strict=False):
        splitter = FrameSplitter(limits.DEFAULT_MAX_FRAME_BYTES)
        value = kinds.DURABLE_DR if name == "flags" and kind is Kind.REQUEST else 1
        frames = splitter.split(encode_frame(kind, **{name: value}))
        assert (len(frames) == 0) == (rule == "0"), name


def test_numbers_in_the_prose_are_those_of_the_code() -> None:
    assert f"the maximum is {limits.GREETING_MAX_FRAME_BYTES};" in PAGE
    assert f"above {limits.MAX_TIMEOUT_MS} it is taken" in PAGE
    assert f"length below {limits.MIN_LENGTH} " in PAGE
    assert (kinds.RESPONSE_FLAGS, kinds.REQUEST_FLAGS) == (3, 12)
