"""Who listens on a port of this host, from /proc."""

import socket
from pathlib import Path
from typing import Final

import msgspec

LISTENING: Final = "0A"
"""TCP_LISTEN in /proc/net/tcp."""
TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")


class Listener(msgspec.Struct, frozen=True):
    """A process that listens; without a pid where it is not ours to see."""

    pid: int = 0
    command: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})" if self.pid else "a process of another user"


def listeners(port: int) -> list[Listener]:
    """Return who listens on that TCP port, on whatever address; empty where nobody does."""
    inodes = {inode for table in TABLES for inode in _inodes(Path(table), port)}
    if not inodes:
        return []
    found = [Listener(pid, _command(pid)) for pid in _pids_with(inodes)]
    return found or [Listener()]


def may_bind(host: str, port: int) -> OSError | None:
    """Return why nothing can listen there (a port in use left aside); None where it can."""
    try:
        [(family, kind, protocol, _, target), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except OSError as error:
        return error
    return None


def _inodes(table: Path, port: int) -> list[str]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    rows = [line.split() for line in lines]
    return [row[9] for row in rows if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port]


def _pids_with(inodes: set[str]) -> list[int]:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    return sorted(int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _has(folder, wanted))


def _has(folder: Path, wanted: set[str]) -> bool:
    try:
        return any(str(link.readlink()) in wanted for link in (folder / "fd").iterdir())
    except OSError:  # ended meanwhile, or of another user
        return False


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return b" ".join(words).decode("utf-8", "replace").strip()
