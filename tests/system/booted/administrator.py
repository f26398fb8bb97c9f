"""What an administrator does on a new machine, as docs/systemd.md says it."""

import secrets
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Final

from certificates import Authority
from debian import ROOT
from machine import Machine

NODES: Final = ("hsm-node@node-1", "hsm-node@node-2", "hsm-node@node-3")
DAEMONS: Final = ("hsm-proxy", *NODES)
KEY: Final = "load"
LIFETIME: Final = timedelta(days=90)
"""Of certificates: `hsmctl doctor` finds nothing about them."""


def configure(root: Path) -> None:
    """Put configuration, certificates and the master key where they belong."""
    shutil.copytree(ROOT / "deploy/examples/one-host", root / "etc/redoubt")
    authority = Authority(root / "etc/redoubt/tls", LIFETIME)
    for name in ("node/node-1", "node/node-2", "node/node-3", "proxy/proxy-1", "client/app"):
        authority.issue(f"spiffe://example/{name}", name.rpartition("/")[2])
    (root / "etc/credstore").mkdir(mode=0o700)
    key = root / "etc/credstore/redoubt.master-key"
    key.touch(mode=0o600)
    key.write_text(secrets.token_hex(32) + "\n")


def start(machine: Machine) -> None:
    """Make users and folders, give each daemon its key file, and start all."""
    machine.run("systemctl", "daemon-reload")
    machine.run("systemd-sysusers")
    machine.run("systemd-tmpfiles", "--create")
    for name, group in (("proxy-1", "hsm-proxy"), *((f"node-{number}", "hsm-node") for number in (1, 2, 3))):
        machine.run("chgrp", group, f"/etc/redoubt/tls/{name}-key.pem")
        machine.run("chmod", "0440", f"/etc/redoubt/tls/{name}-key.pem")
    machine.run("systemctl", "enable", "--now", *NODES, "hsm-proxy", "redoubt-doctor.timer")
    machine.run("hsmctl", "key", "generate", "--type", "ec-p256", "--label", KEY)
