"""tools/prerequisites.sh: one line that says what to install."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def _fake(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with a good python3, openssl and git, and nothing else."""
    _fake(tmp_path, "python3", f'exec {sys.executable} "$@"')
    _fake(tmp_path, "openssl", "")
    _fake(tmp_path, "git", "")
    return tmp_path


def _check(root: Path, programs: Path) -> subprocess.CompletedProcess[str]:
    shell = shutil.which("sh")
    assert shell is not None
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON"} | {"PATH": str(programs)}
    return subprocess.run(
        [shell, root / "tools" / "prerequisites.sh"], env=environment, capture_output=True, text=True, check=False
    )


def test_prints_the_python_to_use_when_all_is_there(root: Path, programs: Path) -> None:
    done = _check(root, programs)
    assert (done.returncode, done.stdout, done.stderr) == (0, "python3\n", "")


def test_says_in_one_line_that_python_is_missing(root: Path, programs: Path) -> None:
    (programs / "python3").unlink()
    done = _check(root, programs)
    assert done.returncode == 1
    assert done.stderr.startswith("redoubt: Python 3.11 or newer is needed and there is none; install")
    assert done.stderr.count("\n") == 1


def test_says_in_one_line_that_python_is_too_old(root: Path, programs: Path) -> None:
    _fake(programs, "python3", 'case "$2" in *version_info*) exit 1 ;; *) echo 3.9.2 ;; esac')
    done = _check(root, programs)
    assert done.returncode == 1
    assert "python3 is 3.9.2; install" in done.stderr
    assert done.stderr.count("\n") == 1


def test_says_in_one_line_that_the_venv_module_is_missing(root: Path, programs: Path) -> None:
    _fake(programs, "python3", f'case "$2" in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"')
    done = _check(root, programs)
    assert done.returncode == 1
    assert "python3 has no venv module; install" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("program", ["openssl", "git"])
def test_says_in_one_line_that_a_program_is_missing(root: Path, programs: Path, program: str) -> None:
    (programs / program).unlink()
    done = _check(root, programs)
    assert done.returncode == 1
    assert f"{program} is missing; install" in done.stderr
    assert done.stderr.count("\n") == 1
