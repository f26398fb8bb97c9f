"""A newcomer who follows the tutorial literally succeeds. `make test-system` does the same in a real clone."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminals import Step, Terminals, pattern_of, steps_of

READ_BY_SETUP = ("Makefile", "pyproject.toml", "requirements.lock", "tools/prerequisites.sh")


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Path:
    """A folder like a fresh clone in which `make setup` has been done once: it has the .venv that runs this test."""
    folder = tmp_path / "clone"
    for name in READ_BY_SETUP:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, folder / name)
        os.utime(folder / name, (0, 0))  # So that `make setup` finds all done, and never installs from this folder.
    assert (root / ".venv" / ".made-from-requirements").exists(), "run make setup first"
    (folder / ".venv").symlink_to(root / ".venv")
    return folder


@pytest.fixture
def terminals(clone: Path, tmp_path: Path) -> Iterator[Terminals]:
    """A reader's terminals in that folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HSM_")}
    opened = Terminals(clone, tmp_path, environment)
    yield opened
    opened.close()


def test_the_tutorial_does_what_it_says(root: Path, clone: Path, terminals: Terminals) -> None:
    terminals.follow((root / "docs" / "tutorial" / "index.md").read_text(encoding="utf-8"))
    assert sorted(path.name for path in clone.iterdir()) == [
        ".venv",
        "Makefile",
        "pyproject.toml",
        "requirements.lock",
        "tools",
    ]


def test_a_page_is_cut_into_what_a_reader_does() -> None:
    page = """# T
<!-- first terminal -->
```sh
run
```

```text
ready
```
```sh
ls
```
<!-- Ctrl-C in the first terminal -->
"""
    first, second = Step("leave running", "run\n", "ready\n"), Step("type", "ls\n", None)
    assert steps_of(page) == [first, second, Step("interrupt", "", None)]


def test_a_block_that_nobody_can_type_is_refused() -> None:
    with pytest.raises(AssertionError, match="python"):
        steps_of("```python\nx = 1\n```\n")


def test_what_differs_from_run_to_run_is_marked() -> None:
    pattern = pattern_of("key …\n…\nend\n")
    assert pattern.fullmatch("key 1\nend\n")
    assert pattern.fullmatch("key 1\nmore\nand more\nend\n")
    assert not pattern.fullmatch("key 1\n")
    assert not pattern.fullmatch("keys\nend\n")


def test_a_command_that_fails_is_said_with_what_it_printed(terminals: Terminals) -> None:
    with pytest.raises(AssertionError, match="no luck"):
        terminals.follow("```sh\necho no luck; false\n```\n")


def test_other_output_than_the_page_shows_is_found(terminals: Terminals) -> None:
    with pytest.raises(AssertionError, match="printed\nnine"):
        terminals.follow("```sh\necho nine\n```\n```text\nten\n```\n")
