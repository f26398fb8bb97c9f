"""Processes of a run: started in a group each, asked for their CPU time, and stopped for certain."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

STOP_SECONDS = 5.0  # a process that takes longer to end is killed


def cpu_seconds(pid: int) -> float:
    """Return user and system time of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(command: list[str], log: Path, *, talk: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Run a command while the block lasts; its standard error goes to `log`, `talk` connects the rest to pipes."""
    pipe = subprocess.PIPE if talk else subprocess.DEVNULL
    with (
        log.open("ab") as errors,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
