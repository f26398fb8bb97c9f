"""`make run ARGS="--backend softhsm --once"`: the main job on three real tokens, whose master key a token has made."""

import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "tools" / "run_demo.py"
DEADLINE_S = 900.0


def test_the_main_job_is_done_on_three_real_tokens_and_once_more_in_the_same_folder(tmp_path: Path) -> None:
    for _ in range(2):
        command = [sys.executable, str(DEMO), "--once", "--dir", str(tmp_path / "d"), "--backend", "softhsm"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("Verified OK") == 2
        assert "All was well" in done.stdout
    assert len((tmp_path / "d" / "ceremony.jsonl").read_text().splitlines()) == 7
