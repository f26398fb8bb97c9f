"""A test that is marked `other_loop_in_system` runs on one event loop here, on the other in `make test-system`."""

import subprocess
import sys
from pathlib import Path

MARKED = "tests/integration/test_hardening.py"
COLLECTED_S = 300
"""An interpreter's start takes 0.5 s, and was seen to take a minute on a busy machine."""


def collected(root: Path, *arguments: str) -> list[str]:
    """Return the loop of each test of the marked file that such a run of pytest would run."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments, MARKED]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=COLLECTED_S, check=True).stdout
    return sorted(line.partition("[")[2].rstrip("]") for line in said.splitlines() if line.startswith(MARKED))


def test_each_loop_is_run_once_and_none_is_left_out(root: Path) -> None:
    assert collected(root) == ["uvloop"]
    assert collected(root, "-m", "system") == ["asyncio"]


def test_make_test_system_looks_for_them_everywhere(root: Path) -> None:
    assert "tools/system_tests.sh" in (root / "Makefile").read_text()
    script = (root / "tools/system_tests.sh").read_text()
    assert 'pytest -p no_skips -v -m "$marked" tests "$@"' in script
    for part in "system and not alone", "system and alone":
        assert f'part "{part}"' in script
