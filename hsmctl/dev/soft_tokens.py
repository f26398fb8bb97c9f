"""Tokens of SoftHSM2 for the nodes of a development cluster: made once, and kept in its folder with the keys in them.

The master key comes into them by the ceremony of docs/ceremony.md, as it would come into devices: the first token makes
it, and it leaves that one only wrapped for the others.
"""

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from hsmctl.dev.plan import Member, Plan
from hsmctl.failures import USAGE, CommandError
from hsmctl.files import replace_file

TOOL: Final = "softhsm2-util"
MODULES: Final = tuple(
    Path(folder) / "libsofthsm2.so"
    for folder in (
        "/usr/lib/softhsm",
        "/usr/lib/x86_64-linux-gnu/softhsm",
        "/usr/lib/aarch64-linux-gnu/softhsm",
        "/usr/lib64/softhsm",
        "/usr/lib64/pkcs11",
        "/usr/lib/pkcs11",
        "/usr/local/lib/softhsm",
    )
)
"""Where Debian, Fedora, Alpine and its own installation put it."""
INSTALL: Final = "--backend softhsm needs SoftHSM2; install it (Debian: `sudo apt-get install softhsm2`) and try again"
WRAP_MECHANISM: Final = 0x210A
"""RFC 5649 in SoftHSM 2.6.1; the node proves it at its start."""
LABEL: Final = "redoubt"
CONFIGURATION: Final = "softhsm2.conf"
COMMAND_S: Final = 60.0
"""For one step of the ceremony: two RSA keys on a busy machine."""
_PIN_DIGITS: Final = 8
_DONE: Final = "made"


def find_module() -> Path:
    """Return SoftHSM2's library.

    Raises:
        CommandError: it is not installed.
    """
    found = next((path for path in MODULES if path.exists()), None)
    if found is None or shutil.which(TOOL) is None:
        raise CommandError(INSTALL, USAGE)
    return found


def environment(folder: Path) -> dict[str, str]:
    """Return what SoftHSM2 has to be told, in every process that works with the folder's tokens."""
    return {"SOFTHSM2_CONF": str(folder / CONFIGURATION)}


def backend_toml(module: Path, node: Member) -> str:
    """Return what a node's configuration says of its token."""
    return (
        f'\n[keystore]\nmaster_key = {{ device = "{LABEL}" }}\n'
        f'\n[backend]\nkind = "pkcs11"\nmodule = "{module}"\ntoken_label = "{node.name}"\n'
        f'pin = {{ file = "pin" }}\nwrap_mechanism = {WRAP_MECHANISM:#06x}\n'
    )


def make_tokens(folder: Path, plan: Plan) -> None:
    """Make a token for each node and bring one master key into all; where an earlier run has done so, do nothing.

    Raises:
        CommandError: a step fails.
    """
    tokens = folder / "tokens"
    if (tokens / _DONE).exists():
        if not all((tokens / _DONE / node.name).exists() for node in plan.nodes):
            text = f"{tokens} has no token for each of {len(plan.nodes)} nodes"
            raise CommandError(f"{text}; give the --nodes of the first run, or another --dir", USAGE)
        return
    shutil.rmtree(tokens, ignore_errors=True)  # An earlier run has not come to its end, and nothing is under its key.
    (tokens / "objects").mkdir(mode=0o700, parents=True)
    text = f"directories.tokendir = {tokens / 'objects'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    replace_file(folder / CONFIGURATION, text.encode())
    pin, officer = (_digits() for _ in range(2))
    replace_file(folder / "pin", f"{pin}\n".encode(), 0o600)
    replace_file(folder / "so-pin", f"{officer}\n".encode(), 0o600)
    for node in plan.nodes:
        _run(folder, [TOOL, "--init-token", "--free", "--label", node.name, "--so-pin", officer, "--pin", pin])
    _ceremony(folder, plan)
    (tokens / "making").mkdir()
    for node in plan.nodes:
        (tokens / "making" / node.name).touch()
    (tokens / "making").rename(tokens / _DONE)


def _ceremony(folder: Path, plan: Plan) -> None:
    first, *others = plan.nodes
    (folder / "ceremony.jsonl").unlink(missing_ok=True)
    requests = []
    for node in others:
        requests += ["--for", f"tokens/{node.name}.request"]
        _step(folder, node, "join", "--request", f"tokens/{node.name}.request")
    _step(folder, first, "init", "--yes", *requests, "--out-dir", "tokens")
    for node in others:
        _step(folder, node, "join", "--answer", f"tokens/{node.name}.answer")


def _step(folder: Path, node: Member, command: str, *arguments: str) -> None:
    program = [sys.executable, "-m", node.module, "--config", f"{node.name}.toml"]
    _run(folder, [*program, command, "--record", "ceremony.jsonl", "--operator", "hsmctl dev", *arguments])


def _run(folder: Path, command: list[str]) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **environment(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"the tokens could not be made within {COMMAND_S:g} s; try again") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise CommandError(f"the tokens could not be made: {said}")


def _digits() -> str:
    return "".join(secrets.choice("0123456789") for _ in range(_PIN_DIGITS))
