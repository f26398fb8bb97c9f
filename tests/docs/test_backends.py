"""docs/backends.md says what the conformance suite holds every back end to."""

from collections.abc import Callable
from types import ModuleType


def test_the_page_is_as_the_tool_makes_it(load_tool: Callable[[str], ModuleType]) -> None:
    tool = load_tool("make_backends_docs")
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run python tools/make_backends_docs.py"
