"""Where a master key comes from: a file, a systemd credential, or shares that people give to the running node.

File and credential hold the same: 64 hexadecimal digits. No text quotes any of them.
"""

import os
import stat
from pathlib import Path
from typing import Annotated, Final

import msgspec

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import MASTER_KEY_BYTES, Keyring

CREDENTIALS_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
"""Set by systemd for a service that has LoadCredential or LoadCredentialEncrypted."""
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
    shares: SharesConfig | None = None
    """The node starts sealed, and people give it their shares; not for `next_master_key`."""

    def __post_init__(self) -> None:
        if [self.file, self.credential, self.shares].count(None) != 2:
            raise ValueError("a master key has exactly one source: file, credential or shares")
        if self.credential is not None and ("/" in self.credential or self.credential in ("", ".", "..")):
            raise ValueError("a credential is named as in LoadCredential=, without any folder")


def read_master_key(source: MasterKeyConfig) -> bytes:
    """Return the 32 bytes of a master key that lies in a file or credential.

    Raises:
        StartError: it is missing, open to others, or not a master key; or it comes as shares. No text quotes it.
    """
    if source.file is not None:
        return _read(source.file, "file", private=True)
    if source.credential is not None:
        # Who may read it is systemd's affair: its mode shows the mask of an access list there.
        return _read(_credentials_folder(source.credential) / source.credential, "credential", private=False)
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


def _credentials_folder(name: str) -> Path:
    folder = os.environ.get(CREDENTIALS_DIRECTORY)
    if not folder:
        raise StartError(
            f"credential {name}: {CREDENTIALS_DIRECTORY} is not set; start the node by systemd, "
            f"with LoadCredential={name}:PATH or LoadCredentialEncrypted={name}:PATH in its unit"
        )
    return Path(folder)


def _read(path: Path, what: str, *, private: bool) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(_FILE_BYTES_LIMIT)
    except OSError as error:
        raise StartError(f"{path}: the master key cannot be read ({error.strerror}); check the {what}") from None
    if private and mode & 0o077:
        raise StartError(f"{path}: the master key is open to others (mode {mode:04o}); chmod 600 it")
    digits = content.strip()
    try:
        master_key = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        master_key = b""
    if len(digits) != 2 * MASTER_KEY_BYTES or len(master_key) != MASTER_KEY_BYTES:
        raise StartError(f"{path}: a master key is {2 * MASTER_KEY_BYTES} hexadecimal digits on one line")
    return master_key
