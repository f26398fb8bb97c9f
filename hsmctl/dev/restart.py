"""`hsmctl dev start NAME`: asks the running `hsmctl dev` to start a daemon that died.

The daemon must become its child again, so that Ctrl-C there stops it too; so this leaves a file with the name.
"""

import os
import time
from typing import Final

from hsmctl.dev import readiness
from hsmctl.dev.folder import Folder
from hsmctl.dev.manifest import Entry, Manifest, maybe_read
from hsmctl.failures import USAGE, CommandError

RESTART_DEADLINE_S: Final = 20.0
POLL_INTERVAL_S: Final = 0.05


def restart(folder: Folder, name: str) -> Entry:
    """Start the daemon of that name and return it when it serves."""
    before = _member(_running(folder), name)
    if _alive(before.pid):
        raise CommandError(f"{name} runs already (process {before.pid}); stop it first with `kill {before.pid}`")
    (folder.requests / name).touch()
    deadline = time.monotonic() + RESTART_DEADLINE_S
    while time.monotonic() < deadline:
        now = _member(_running(folder), name)
        if now.pid != before.pid and readiness.get(now.admin, "/readyz")[0] == 200:
            return now
        if now.pid != before.pid and not _alive(now.pid):
            raise CommandError(f"{name} ended at its start; see its log: {folder.log_of(name)}")
        time.sleep(POLL_INTERVAL_S)
    raise CommandError(f"{name} was not ready after {RESTART_DEADLINE_S:.0f} s; see its log: {folder.log_of(name)}")


def _running(folder: Folder) -> Manifest:
    manifest = maybe_read(folder.manifest)
    if manifest is None or not folder.held():
        raise CommandError(f"no `hsmctl dev` runs in {folder.path}; start it, or name its folder by --dir", USAGE)
    return manifest


def _member(manifest: Manifest, name: str) -> Entry:
    member = manifest.maybe_member(name)
    if member is None:
        known = ", ".join(entry.name for entry in (*manifest.nodes, *manifest.proxies))
        raise CommandError(f"there is no daemon {name!r}; there are {known}", USAGE)
    return member


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _zombie(pid)


def _zombie(pid: int) -> bool:
    # A killed daemon stays in the process table until `hsmctl dev` asks for its end: it is dead all the same.
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"Z"
    except (OSError, IndexError):
        return False
