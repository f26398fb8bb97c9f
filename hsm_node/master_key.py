"""Where a master key comes from: a file, a systemd credential, or shares that people give to the running node.

File and credential hold the same: 64 hexadecimal digits. No text quotes any of them.
"""

import os
from pathlib import Path
from typing import Annotated, Final

import msgspec

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import MASTER_KEY_BYTES, Keyring
from hsm_node.secret_file import (
    CREDENTIALS_DIRECTORY,
    SecretPlace,
    check_credential,
    credential_place,
    file_place,
    read_secret,
)

SHARES_KEPT_S: Final = 900.0
"""Since the last one was given: time to fetch the next person, not to leave half a set in memory over night."""
_FILE_BYTES_LIMIT: Final = 4 * MASTER_KEY_BYTES
"""More than the digits and a line end is not a master key."""


class SharesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`shares = { ... }`: the node starts sealed; how many are needed stands in each share."""

    keep_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = SHARES_KEPT_S
    """How long an incomplete set is kept after its last share."""


class MasterKeyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`master_key = { ... }`: exactly one source."""

    file: Path | None = None
    """Readable by the node's user only."""
    credential: str | None = None
    """Name of a systemd credential of the service."""
    device: str | None = None
    """What the labels of its objects in the token of `[backend]` begin with."""
    shares: SharesConfig | None = None
    """The node starts sealed, and people give it their shares; not for `next_master_key`."""

    def __post_init__(self) -> None:
        if [self.file, self.credential, self.device, self.shares].count(None) != 3:
            raise ValueError("a master key has exactly one source: file, credential, device or shares")
        check_credential(self.credential)


def read_master_key(source: MasterKeyConfig) -> bytes:
    """Return the 32 bytes of a master key that lies in a file or credential.

    Raises:
        StartError: it is missing, open to others, or not a master key; or it comes as shares. No text quotes it.
    """
    if source.file is not None:
        return _read(file_place(source.file))
    if source.credential is not None:
        return _read(credential_place(source.credential))
    if source.device is not None:
        raise StartError("the master key is in a device, which does not give it out; restart the node to change that")
    raise StartError("the master key comes as shares, which people give to the running node; name a file or credential")


def is_within_reach(source: MasterKeyConfig) -> bool:
    """Say whether this process could read it, if all is well: a file, or a credential in a service of systemd."""
    return source.file is not None or (source.credential is not None and CREDENTIALS_DIRECTORY in os.environ)


def load_keyring(source: MasterKeyConfig) -> Keyring:
    """Return the keyring of a master key that lies in a file or credential.

    Raises:
        StartError: as `read_master_key`.
    """
    return Keyring(read_master_key(source))


def _read(place: SecretPlace) -> bytes:
    digits = read_secret(place, "master key", _FILE_BYTES_LIMIT).strip()
    path = place.path
    try:
        master_key = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        master_key = b""
    if len(digits) != 2 * MASTER_KEY_BYTES or len(master_key) != MASTER_KEY_BYTES:
        raise StartError(f"{path}: a master key is {2 * MASTER_KEY_BYTES} hexadecimal digits on one line")
    return master_key
