"""Eight threads at one token; for a minute in `make test-system`."""

import subprocess
import sys
from pathlib import Path

from softhsm import SoftHsm

PROGRAM = Path(__file__).parents[3] / "live" / "pkcs11_stress.py"
SECONDS = 2.0


def test_eight_threads_work_at_one_token_without_an_error(softhsm: SoftHsm) -> None:
    assert softhsm.environment
    done = subprocess.run(
        [sys.executable, PROGRAM, "right", str(SECONDS)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
