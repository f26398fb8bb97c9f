"""A pytest plugin: the run ends at once where a module that is to be compiled is plain Python."""

import importlib
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("compiled_modules.txt")


def names() -> list[str]:
    """Return the modules that are compiled."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return [line.removesuffix(".py").replace("/", ".") for line in lines if line and not line.startswith("#")]


def plain() -> list[str]:
    """Return those that would be imported as they are."""
    return [name for name in names() if (importlib.import_module(name).__file__ or "").endswith(".py")]


def pytest_sessionstart() -> None:
    """Look at each of them."""
    found = plain()
    if found:
        raise pytest.UsageError(f"not compiled: {', '.join(found)}")
