"""Processes of a run: started in a group each, asked for their CPU time, and stopped for certain."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

STOP_SECONDS = 5.0  # a process that takes longer to end is killed
_SCHEDULED = 2
"""CPUCLOCK_SCHED of the kernel: user and system time as the scheduler counts it, in nanoseconds."""


def _own_cpu_seconds(pid: int) -> float:
    try:
        # The clock id that clock_getcpuclockid(3) makes of a pid: exact, where /proc/PID/stat counts ticks of 10 ms.
        return time.clock_gettime((~pid << 3) | _SCHEDULED)
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def process_tree(pid: int) -> list[int]:
    """Return the process and all that it started and that still run: workers count as the program that has them."""
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # a thread that ended just now
                found += map(int, path.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """Return user and system time of all threads of a process and of its workers."""
    return sum(_own_cpu_seconds(each) for each in process_tree(pid))


@contextlib.contextmanager
def running(
    command: list[str], log: Path, *, talk: bool = False, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a command while the block lasts; its standard error goes to `log`, `talk` connects the rest to pipes."""
    pipe = subprocess.PIPE if talk else subprocess.DEVNULL
    with (
        log.open("ab") as errors,
        subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=errors, text=True, env=os.environ | (environment or {})
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
