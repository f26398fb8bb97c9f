"""`[backend]` of node.toml: software, or which module, token and PIN."""

from pathlib import Path
from typing import Final

import msgspec

from hsm_wire.mechanisms import CKM_AES_KEY_WRAP_KWP

CKM_AES_KEY_WRAP_PAD: Final = 0x210A
"""RFC 5649 in SoftHSM 2.6.1, which lacks 0x210B. In other modules it is PKCS#7 and RFC 3394: the start proves which."""


class PinSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`pin = { ... }`: exactly one source. Never an argument, never the environment."""

    file: Path | None = None
    """Readable by the node's user only."""
    credential: str | None = None
    """Name of a systemd credential of the service."""

    def __post_init__(self) -> None:
        if (self.file is None) == (self.credential is None):
            raise ValueError("a PIN has exactly one source: file or credential")
        if self.credential is not None and ("/" in self.credential or self.credential in ("", ".", "..")):
            raise ValueError("a credential is named as in LoadCredential=, without any folder")


class Adoptable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`adopt = [{ ... }]`: a private key that was in the device before, and who may have a record made of it."""

    object: str
    """Its label there."""
    partition: int
    """Id of the partition in cluster.toml."""


class SoftwareSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="software"):
    """`kind = "software"`: keys are in the node's own memory."""


class DeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="pkcs11"):
    """`kind = "pkcs11"`: keys are in a device, behind its maker's module."""

    module: Path
    """The maker's library, relative to this file or absolute."""
    pin: PinSource
    """Of the token's user."""
    token_label: str = ""
    """Which token: its label,"""
    token_serial: str = ""
    """its serial number,"""
    slot: int | None = None
    """or its slot; several of them must all fit."""
    wrap_mechanism: int = CKM_AES_KEY_WRAP_KWP
    """CKM number of RFC 5649 in this module; proven by a known answer at start."""
    adopt: tuple[Adoptable, ...] = ()
    """Private keys in the device that cannot be wrapped, and that `hsmctl key adopt` may bring into use."""

    def __post_init__(self) -> None:
        if not self.token_label and not self.token_serial and self.slot is None:
            raise ValueError("name the token: token_label, token_serial or slot")
