"""What tests with real processes share."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE_S = 15.0
POLL_INTERVAL_S = 0.01


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Poll until the condition holds."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {what}"
        time.sleep(POLL_INTERVAL_S)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def end(pid: int) -> None:
    """Kill what a failed test left."""
    if alive(pid):
        os.kill(pid, signal.SIGKILL)
