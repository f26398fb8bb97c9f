"""The models of docs/consistency.md, every state of them: three minutes on one core, 0.5 GB."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_every_model_holds_and_every_mutant_is_caught() -> None:
    for program in ("spin", "cc"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    done = subprocess.run(
        [sys.executable, str(ROOT / "model" / "check.py")], capture_output=True, text=True, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
