"""`hsmctl dev start NAME`: asks the running `hsmctl dev` to start a daemon that died.

The daemon must become its child again, so that Ctrl-C there stops it too; so this leaves a file with the name.
"""

import contextlib
import http.client
import os
import socket
import time
from pathlib import Path
from typing import Final

from hsmctl.dev import readiness
from hsmctl.dev.daemon import last_line
from hsmctl.dev.folder import Folder
from hsmctl.dev.manifest import AnyEntry, Entry, Manifest, StoreEntry, maybe_read
from hsmctl.failures import USAGE, CommandError

ROTATION_DEADLINE_S: Final = 10.0
"""How long a node's return into the rotation of every proxy is waited for."""
POLL_INTERVAL_S: Final = 0.05
CONNECT_S: Final = 1.0
ENDING_S: Final = 10.0
"""How long the end of a daemon is waited for that may have been told to stop just now; etcd takes seconds for it."""
ASK_INTERVAL_S: Final = 0.5
"""Between two requests: one that comes while the system takes the process apart finds that it runs still."""


def restart(folder: Folder, name: str, deadline_s: float = readiness.READY_S) -> AnyEntry:
    """Start the daemon of that name, after its end if it is ending, and return it when it serves.

    A node that may only serve as `stale`, as one that was killed does while its store is full, is not there yet.
    """
    manifest = running_manifest(folder)
    before = _member(manifest, name)
    if not _ends(before, manifest):
        raise CommandError(f"{name} runs already (process {before.pid}); stop it first with `kill {before.pid}`")
    log = folder.log_of(name)
    log_start = log.stat().st_size if log.exists() else 0
    deadline = time.monotonic() + deadline_s
    asked_at = float("-inf")
    while time.monotonic() < deadline:
        manifest = running_manifest(folder)
        now = _member(manifest, name)
        if now.pid != before.pid:
            if not alive(now, manifest):
                reason = last_line(log, log_start) or "it said nothing"
                raise CommandError(f"{name} ended at its start: {reason} (log: {log})")
            if _serves(now):
                return now
        elif time.monotonic() - asked_at >= ASK_INTERVAL_S:
            folder.ask_for(name)
            asked_at = time.monotonic()
        time.sleep(POLL_INTERVAL_S)
    admin = "" if isinstance(before, StoreEntry) else before.admin
    raise CommandError(readiness.not_ready(name, admin, deadline_s, last_line(log, log_start), log))


def _ends(member: AnyEntry, manifest: Manifest) -> bool:
    """Wait for the end of that process; whether it came."""
    deadline = time.monotonic() + ENDING_S
    while alive(member, manifest):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL_S)
    return True


def missing_in(folder: Folder, name: str, deadline_s: float = ROTATION_DEADLINE_S) -> list[str]:
    """Wait until every proxy that answers gives requests to that node; return those that do not by the deadline.

    A daemon that is no node, and a node that an operator took out or that is kept out (`fenced`), are not waited for.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        missing = [proxy.name for proxy in running_manifest(folder).proxies if _lacks(proxy, name)]
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(POLL_INTERVAL_S)


def state_of(entry: AnyEntry) -> str:
    """Return what a daemon that runs says of itself; empty where it says nothing."""
    state = None if isinstance(entry, StoreEntry) else readiness.status(entry.admin).get("state")
    return state if isinstance(state, str) else ""


def _lacks(proxy: Entry, name: str) -> bool:
    nodes = readiness.status(proxy.admin).get("nodes")
    for node in nodes if isinstance(nodes, list) else []:
        if isinstance(node, dict) and node.get("name") == name:
            return node.get("state") not in ("up", "standby", "fenced") and node.get("administrative_state") == "ready"
    return False


def _serves(entry: AnyEntry) -> bool:
    if isinstance(entry, StoreEntry):  # Where it says how it is, only its configuration knows; it takes connections.
        host, _, port = entry.address.rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), CONNECT_S):
            return True
        return False
    if readiness.get(entry.admin, "/readyz")[0] == http.client.OK:
        return True
    return state_of(entry) == "fenced"  # It is there, and says why it serves nobody.


def running_manifest(folder: Folder) -> Manifest:
    if not folder.held():
        raise CommandError(f"no `hsmctl dev` runs in {folder.path}; start it, or name its folder by --dir", USAGE)
    manifest = maybe_read(folder.manifest)
    if manifest is None:
        raise CommandError(f"the `hsmctl dev` in {folder.path} is not ready; try again when it says so")
    return manifest


def _member(manifest: Manifest, name: str) -> AnyEntry:
    member = manifest.maybe_member(name)
    if member is None:
        entries: list[AnyEntry] = [*manifest.nodes, *manifest.proxies, *manifest.store]
        known = ", ".join(entry.name for entry in entries)
        raise CommandError(f"there is no daemon {name!r}; there are {known}", USAGE)
    return member


def alive(member: AnyEntry, manifest: Manifest) -> bool:
    """Whether the process is the daemon: neither a dead one nor a stranger that got its number since."""
    process = Path(f"/proc/{member.pid}")
    try:
        # A killed daemon stays in the process table until `hsmctl dev` asks for its end.
        if (process / "stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z":
            return False
        command = (process / "cmdline").read_bytes()
    except (OSError, IndexError):
        return False
    # As `hsmctl dev` spelled it; empty for an instant while the process becomes the daemon.
    suffix = "json" if isinstance(member, StoreEntry) else "toml"
    config = Path(manifest.client_config).with_name(f"{member.name}.{suffix}")
    return not command or os.fsencode(config) in command.split(b"\0")
