"""`make demo-disaster`: two data centres are lost, the DR site takes over, all comes back, and every step held."""

import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "tools" / "disaster_demo.py"
STEPS = 8
DEADLINE_S = 900.0


def test_the_disaster_is_played_to_its_end_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(DEMO), "--dir", str(tmp_path / "d")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    assert f"\n{STEPS}. " in done.stdout
    assert done.stdout.count("Verified OK") == 5
    assert "none failed" in done.stdout
    assert "Every step held" in done.stdout
    assert not (tmp_path / "d" / "dev.json").exists()
