"""etcd's own programs, run for one question: etcdctl at a member, etcdutl at files."""

import os
import subprocess
from pathlib import Path
from typing import Final

from hsmctl.failures import CommandError
from hsmctl.promotion.host import Host, LocalStore

STEP_S: Final = 120.0
"""For one of them: a snapshot of 4 GB, the largest store, at a slow disk's 40 MB a second."""
DIAL_S: Final = 3
"""For a member to take the connection."""


def etcdctl(host: Host, store: LocalStore, *words: str) -> list[str]:
    """Return the command that asks that member."""
    scheme = "http" if store.tls is None else "https"
    command = [str(host.program("etcdctl")), "--endpoints", f"{scheme}://{store.endpoint}", f"--dial-timeout={DIAL_S}s"]
    if store.tls is not None:
        command += ["--cacert", str(store.tls.ca), "--cert", str(store.tls.certificate), "--key", str(store.tls.key)]
    return [*command, *words]


def clean_environment() -> dict[str, str]:
    """Return this process's without what etcd's programs would take from it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("ETCDCTL_", "ETCD_"))}


def run(command: list[str], what: str, advice: str, folder: Path | None = None) -> str:
    """Run it, in that folder; return what it wrote.

    Raises:
        CommandError: it failed, or takes too long: `what` happened, `advice` says what to do.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STEP_S,
            cwd=folder,
            env=clean_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"{what} within {STEP_S:g} s; {advice}") from None
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise CommandError(f"{what} ({lines[-1].strip() if lines else f'exit code {done.returncode}'}); {advice}")
    return done.stdout


def unused(folder: Path, name: str) -> Path:
    """Return a path that is not there: what is done again keeps what was there each time."""
    path, number = folder / name, 1
    while path.exists():
        number += 1
        path = folder / f"{name}.{number}"
    return path
