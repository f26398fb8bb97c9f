"""A forked hsmctl is as good as one that was started."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hsmctl_forks import run_hsmctl, run_hsmctl_text


def test_it_says_and_ends_as_the_program_does() -> None:
    good = run_hsmctl_text("--version", environment=os.environ)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith("hsmctl")
    bad = run_hsmctl_text("no-such-command", environment=os.environ)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "no-such-command" in bad.stderr


def test_each_has_its_own_environment(tmp_path: Path) -> None:
    for name in ("one", "two"):
        environment = {"PATH": os.environ["PATH"], "HSM_CLIENT_CONFIG": str(tmp_path / name)}
        assert str(tmp_path / name) in run_hsmctl_text("status", environment=environment).stderr


def test_many_run_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(run_hsmctl_text, "--version", environment=os.environ) for _ in range(16)]
    assert {run.result().returncode for run in runs} == {0}


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    nobody_writes = tmp_path / "fifo"
    os.mkfifo(nobody_writes, 0o600)
    command = ("unseal", "split", "--threshold", 2, "--shares", 3, "--master-key", nobody_writes)
    with pytest.raises(subprocess.TimeoutExpired):
        run_hsmctl(command, environment=os.environ, timeout_s=0.5)
    assert run_hsmctl_text("--version", environment=os.environ).returncode == 0
