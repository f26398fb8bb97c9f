"""Two folders change their places in one step: whatever ends the process, each name has one of them."""

import ctypes
import os
from pathlib import Path
from typing import Final

from hsmctl.files import sync_folder

_HERE: Final = -100
"""AT_FDCWD: paths are as they are."""
_EXCHANGE: Final = 2
"""RENAME_EXCHANGE."""


def exchange(one: Path, other: Path) -> None:
    """Give each the other one's name; it is on the disk then. Both are in one folder.

    Raises:
        OSError: nothing was done, or the folder cannot be brought to the disk.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))
    sync_folder(other.parent)
