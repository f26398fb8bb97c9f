"""A secret that lies in a file or in a systemd credential. No text quotes any of it."""

import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

from hsm_daemon.errors import StartError

CREDENTIALS_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
"""Set by systemd for a service that has LoadCredential or LoadCredentialEncrypted."""


class SecretPlace(NamedTuple):
    """Where a secret lies."""

    path: Path
    what: str
    """file or credential."""
    private: bool
    """Whether its mode has to keep others out. Who may read a credential is systemd's affair: its mode shows the mask
    of an access list there."""


def file_place(path: Path) -> SecretPlace:
    """Return the place of a file."""
    return SecretPlace(path, "file", private=True)


def credential_place(name: str) -> SecretPlace:
    """Return the place of a credential of this service.

    Raises:
        StartError: this process has no credentials.
    """
    folder = os.environ.get(CREDENTIALS_DIRECTORY)
    if not folder:
        raise StartError(
            f"credential {name}: {CREDENTIALS_DIRECTORY} is not set; start the node by systemd, "
            f"with LoadCredential={name}:PATH or LoadCredentialEncrypted={name}:PATH in its unit"
        )
    return SecretPlace(Path(folder) / name, "credential", private=False)


def check_credential(name: str | None) -> None:
    """Refuse what is no name of a credential (ValueError)."""
    if name is not None and ("/" in name or name in ("", ".", "..")):
        raise ValueError("a credential is named as in LoadCredential=, without any folder")


def read_secret(place: SecretPlace, noun: str, limit: int) -> bytes:
    """Return what is there, at most `limit` bytes of it.

    Raises:
        StartError: it is missing, or open to others.
    """
    path = place.path
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(limit)
    except OSError as error:
        raise StartError(f"{path}: the {noun} cannot be read ({error.strerror}); check the {place.what}") from None
    if place.private and mode & 0o077:
        raise StartError(f"{path}: the {noun} is open to others (mode {mode:04o}); chmod 600 it")
    return content
