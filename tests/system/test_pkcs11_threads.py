"""Eight threads at one token for a minute; and what happens to who initialises the module as if there were none."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from softhsm import SoftHsm

LIVE = Path(__file__).parents[1] / "live"
Stress = Callable[[str, float], "subprocess.CompletedProcess[str]"]
SECONDS = 60.0
NAIVE_SECONDS = 10.0
NAIVE_RUNS = 5
"""Each was seen to fail: three of three, in 20 s. It crashes, answers with errors, or hangs."""
STARTED_S = 60.0
"""For its start and end on a busy machine."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stress:
    tokens = SoftHsm(tmp_path / "softhsm")
    tokens.make_token("one")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tokens.configuration))

    def stress(how: str, seconds: float) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(LIVE / "pkcs11_stress.py"), how, str(seconds)]
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds + STARTED_S, check=False)

    return stress


def test_it_works_for_a_minute(run: Stress) -> None:
    done = run("right", SECONDS)
    assert done.returncode == 0, done.stderr


def test_the_naive_way_does_not(run: Stress) -> None:
    def passes() -> bool:
        try:
            return run("naive", NAIVE_SECONDS).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    assert not all(passes() for _ in range(NAIVE_RUNS))
