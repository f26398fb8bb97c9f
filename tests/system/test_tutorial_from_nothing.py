"""The tutorial in a real clone: `make setup` makes everything, as it does for a newcomer."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminals import Terminals

ROOT = Path(__file__).parents[2]


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    """A newcomer's terminals, in a clone of what is committed."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    ours = ("HSM_", "PYTHONPATH", "VIRTUAL_ENV", "PYTEST_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    opened = Terminals(clone, tmp_path, environment)
    yield opened
    opened.close()


def test_a_newcomer_who_follows_the_tutorial_succeeds(terminals: Terminals, tmp_path: Path) -> None:
    terminals.follow((tmp_path / "clone" / "docs" / "tutorial" / "index.md").read_text(encoding="utf-8"))
    changed = subprocess.run(
        ["git", "-C", str(tmp_path / "clone"), "status", "--porcelain"], capture_output=True, text=True, check=True
    )
    assert changed.stdout == ""
