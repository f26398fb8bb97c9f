"""The compiled build: made, and the tests of the wire, the proxy and the simulation on it."""

import subprocess
from pathlib import Path

import pytest

TIME_S = 900
"""Ten times what it takes alone on a machine with nothing else to do."""


@pytest.mark.system
def test_what_is_compiled_passes_the_tests_of_what_is_not() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "test-compiled"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=TIME_S,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
