"""What `make compiled` compiles: that it is there, and that nothing of it is compiled unless somebody asks."""

import runpy
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import setuptools


def extensions(root: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> list[Any]:
    """What setup.py asks setuptools for."""
    asked: dict[str, list[Any]] = {}
    monkeypatch.setenv("REDOUBT_COMPILED", said)
    monkeypatch.setattr(setuptools, "setup", lambda **options: asked.update(options))
    runpy.run_path(str(root / "setup.py"))
    return asked["ext_modules"]


def test_every_module_of_the_list_is_there_and_there_once(root: Path, load_tool: Callable[[str], ModuleType]) -> None:
    names = load_tool("compiled_only").names()
    assert len(names) == len(set(names)) > 10
    assert [name for name in names if not (root / f"{name.replace('.', '/')}.py").exists()] == []


@pytest.mark.parametrize("said", ["", "0", "yes"])
def test_without_the_variable_nothing_is_compiled(root: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    assert extensions(root, monkeypatch, said) == []


def test_a_run_on_plain_modules_that_should_be_compiled_does_not_begin(
    load_tool: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = load_tool("compiled_only")
    monkeypatch.setattr(tool, "names", lambda: ["proxy.app"])
    with pytest.raises(pytest.UsageError, match=r"not compiled: proxy\.app"):
        tool.pytest_sessionstart()
