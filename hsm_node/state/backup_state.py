"""`backup.json` in the state directory: when a backup was verified here, and how that ended.

It is for metrics alone: whoever can write it can write the node's other files.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec

FILE_NAME: Final = "backup.json"
MAX_FILE_BYTES: Final = 4096
"""More than it ever has."""


class Verification(msgspec.Struct, frozen=True):
    """The file's content. Times are seconds since 1970, 0: there was none."""

    verified: int = 0
    """When one was verified and good."""
    made: int = 0
    """When that one was made."""
    good: bool = True
    """Whether the last verification found nothing wrong."""


class BackupState:
    """What a node keeps of verifications. Read once; written by one thread at a time."""

    def __init__(self, folder: Path) -> None:
        """Read the file; one that cannot be read counts as none: an alert says then that there is no backup."""
        self._folder = folder
        self.last = _read(folder / FILE_NAME)
        self.failures = 0
        """Times that it could not be written: then it is known until the node ends."""

    def verified(self, now: int, made: int, *, good: bool) -> None:
        """Note a verification that ended now, of a backup that was made then."""
        last = self.last
        self.last = Verification(now, made, good=True) if good else msgspec.structs.replace(last, good=False)
        fresh = self._folder / f".{FILE_NAME}.new"
        try:
            with open(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
                file.write(msgspec.json.encode(self.last) + b"\n")
            fresh.rename(self._folder / FILE_NAME)
        except OSError:
            self.failures += 1
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)


def _read(path: Path) -> Verification:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MAX_FILE_BYTES), type=Verification)
    except (OSError, msgspec.DecodeError):
        return Verification()
