"""Reads the master key's file: 64 hexadecimal digits, readable by its owner only."""

import os
import stat
from pathlib import Path
from typing import Final

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import MASTER_KEY_BYTES, Keyring

_FILE_BYTES_LIMIT: Final = 4 * MASTER_KEY_BYTES
"""More than the digits and a line end is not a master key."""


def load_keyring(path: Path) -> Keyring:
    """Return the keyring of the master key in that file.

    Raises:
        StartError: the file is missing, open to others, or not a master key. No text quotes its content.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(_FILE_BYTES_LIMIT)
    except OSError as error:
        raise StartError(f"{path}: the master key cannot be read ({error.strerror}); check the file") from None
    if mode & 0o077:
        raise StartError(f"{path}: the master key is open to others (mode {mode:04o}); chmod 600 it")
    digits = content.strip()
    try:
        master_key = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        master_key = b""
    if len(digits) != 2 * MASTER_KEY_BYTES or len(master_key) != MASTER_KEY_BYTES:
        raise StartError(f"{path}: a master key is {2 * MASTER_KEY_BYTES} hexadecimal digits on one line")
    return Keyring(master_key)
