"""What the system says of processes: which run with a file of ours, their memory, their open files."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """Of one process at one moment."""

    resident_bytes: int
    open_files: int


def pids_with(argument: str) -> list[int]:
    """Return the processes that have this text in their command line, oldest first; not ourselves."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            started = int((entry / "stat").read_text().rpartition(") ")[2].split()[19])
        except OSError:
            continue  # It has just ended.
        if any(argument.encode() in word for word in words):
            found.append((started, int(entry.name)))
    return [pid for _, pid in sorted(found)]


def end_all_of(folder: Path) -> None:
    """SIGKILL to what still runs with a file of that folder: successors of hot restarts are nobody's children."""
    for pid in pids_with(f"{folder}/"):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def usage_of(pid: int) -> Usage | None:
    """Return what a process uses; None when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return Usage(pages * _PAGE_BYTES, len(os.listdir(f"/proc/{pid}/fd")))
    except (OSError, IndexError):
        return None


def processor_s(pid: int) -> float:
    """Return user and system time of all threads of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
