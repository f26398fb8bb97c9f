"""Real SoftHSM2 tokens in a folder of a test's own, with a master key in them.

`python softhsm.py LABEL PIN MASTER-KEY` brings a master key into a token; it runs in a process of its own, because a
module looks at its configuration once in its life.
"""

import os
import secrets
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cluster import Cluster
    from programs import Program

MODULE: Final = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN: Final = "open-sesame-4711"
SO_PIN: Final = "the-officer-s-4711"
WRAP_MECHANISM: Final = 0x210A
"""RFC 5649 in SoftHSM 2.6.1."""
MASTER_KEY_LABEL: Final = "redoubt"
CKM_EC_EDWARDS_KEY_PAIR_GEN: Final = 0x1055
EDWARDS25519: Final = bytes.fromhex("130c656477617264733235353139")
"""The curve as SoftHSM2 knows it, by its name."""


class SoftHsm:
    """A folder of tokens. Whoever uses them has `environment` in its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tokens = folder / "tokens"
        tokens.mkdir(parents=True)
        self.configuration = folder / "softhsm2.conf"
        self.configuration.write_text(
            f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self.environment = {"SOFTHSM2_CONF": str(self.configuration)}

    def make_token(self, label: str, master_key: bytes | None = None) -> None:
        """Make a token; with a master key in it, if one is given."""
        names = ["--free", "--label", label, "--so-pin", SO_PIN, "--pin", PIN]
        self._run("softhsm2-util", "--init-token", *names)
        if master_key is not None:
            self._run(sys.executable, __file__, label, PIN, master_key.hex())

    def settings_for(self, cluster: "Cluster", node: "Program", module: Path = MODULE) -> dict[str, str]:
        """Make a token for a node, with its cluster's master key, and return what the node.toml says of it."""
        label = f"{node.name}-{secrets.token_hex(4)}"  # more than one cluster may have its tokens here
        self.make_token(label, bytes.fromhex(cluster.master_key.read_text()))
        return node_settings(cluster.folder, label, module)

    def make_edwards_pair(self, backend: str, label: str) -> None:
        """Make an Ed25519 key in the token that a node.toml's `backend` names, as other programs do."""
        token = tomllib.loads(f"backend = {backend}")["backend"]["token_label"]
        self._run(sys.executable, __file__, token, PIN, label, "ed25519")

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr or done.stdout


def node_settings(folder: Path, label: str, module: Path = MODULE) -> dict[str, str]:
    """Return what a node.toml says of a token, as TOML; the PIN's file is made."""
    pin = folder / "pin"
    pin.touch(mode=0o600)
    pin.write_text(PIN + "\n")
    backend = (
        f'{{ kind = "pkcs11", module = "{module}", token_label = "{label}", pin = {{ file = "{pin}" }}, '
        f"wrap_mechanism = {WRAP_MECHANISM} }}"
    )
    return {"backend": backend, "keystore": f'{{ master_key = {{ device = "{MASTER_KEY_LABEL}" }} }}'}


def bring(label: str, pin: str, master_key: bytes) -> None:
    """Make the objects of a master key in a token."""
    from hsm_node.backends.pkcs11.master_key_objects import part_template, part_values
    from hsm_node.backends.pkcs11.module import Module

    module = Module(MODULE)
    [slot] = [slot for slot in module.slots() if module.token(slot).label == label]
    session = module.open_session(slot, writing=True)
    module.login(session, pin.encode())
    for part, value in part_values(master_key).items():
        module.create(session, part_template(MASTER_KEY_LABEL, part, value))


def make_pair(label: str, pin: str, name: str) -> None:
    """Make an Ed25519 key that stays in the token."""
    from hsm_node.backends.pkcs11 import cryptoki as ck
    from hsm_node.backends.pkcs11.module import Module
    from hsm_node.backends.pkcs11.structures import Template, mechanism

    module = Module(MODULE)
    [slot] = [slot for slot in module.slots() if module.token(slot).label == label]
    session = module.open_session(slot, writing=True)
    module.login(session, pin.encode())
    common: Template = {ck.CKA_TOKEN: True, ck.CKA_LABEL: name.encode()}
    private: Template = {**common, ck.CKA_PRIVATE: True, ck.CKA_SENSITIVE: True, ck.CKA_EXTRACTABLE: False}
    public: Template = {**common, ck.CKA_VERIFY: True, ck.CKA_EC_PARAMS: EDWARDS25519}
    module.generate_pair(session, mechanism(CKM_EC_EDWARDS_KEY_PAIR_GEN), public, {**private, ck.CKA_SIGN: True})


if __name__ == "__main__":
    if len(sys.argv) > 4:
        make_pair(*sys.argv[1:4])
    else:
        bring(sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3]))
