"""CPU time is that of all threads and workers, and exact."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.processes import cpu_seconds, running

BURN = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ninput()"
BURN_IN_A_WORKER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
BURN_IN_A_THREAD = (
    "import threading, time\n"
    "def burn():\n"
    "    while time.thread_time() < 0.2: pass\n"
    "thread = threading.Thread(target=burn); thread.start(); thread.join()\n"
    "print('done', flush=True)\ninput()"
)


@pytest.mark.parametrize("program", [BURN, BURN_IN_A_THREAD, BURN_IN_A_WORKER])
def test_time_in_threads_that_ended_and_in_workers_counts(tmp_path: Path, program: str) -> None:
    with running([sys.executable, "-c", program], tmp_path / "log", talk=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "done\n"
        assert 0.2 <= cpu_seconds(process.pid) < 2
        process.stdin.write("\n")
        process.stdin.flush()
        process.wait(10)


def test_it_agrees_with_the_accounting_in_proc(tmp_path: Path) -> None:
    with running([sys.executable, "-c", BURN], tmp_path / "log", talk=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        assert cpu_seconds(process.pid) == pytest.approx(ticks, abs=0.1)


def test_a_process_that_has_gone_is_an_error_and_not_zero() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(OSError, match=str(process.pid)):
        cpu_seconds(process.pid)
