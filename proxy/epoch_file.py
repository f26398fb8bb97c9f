"""What this host remembers of the cluster over restarts of its proxy: its id, and the highest epoch."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from hsm_daemon.errors import StartError
from hsm_daemon.replaced_file import replace_file

FILE_NAME: Final = "epoch.json"
MAX_FILE_BYTES: Final = 4096
"""More than it ever has."""


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file's content."""

    cluster_id: str
    """Hexadecimal."""
    epoch: int


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Have no other worker of this proxy write there meanwhile.

    Raises:
        OSError: there is no such folder, and it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class EpochFile:
    """The file in `state_dir`."""

    def __init__(self, folder: Path) -> None:
        """Read what is there, write nothing.

        Raises:
            StartError: it is damaged or cannot be read.
        """
        self._file = folder / FILE_NAME
        self.cluster_id, self.epoch = self._read()

    def keep(self, cluster_id: bytes, epoch: int) -> str:
        """Write that, whole or not at all; return what is wrong where it cannot be done.

        It waits for the disk, on the loop: nothing may follow from an epoch that a restart would forget. Where another
        worker of this proxy was faster, what it wrote is never lowered.
        """
        try:
            with _alone_in(self._file.parent):
                if not self._has(cluster_id, epoch):
                    replace_file(self._file, msgspec.json.encode(Seen(cluster_id.hex(), epoch)) + b"\n")
        except OSError as error:
            return f"{self._file.parent}: {error.strerror}"
        return ""

    def _has(self, cluster_id: bytes, epoch: int) -> bool:
        """Say whether the file has that epoch of that cluster, or a higher one."""
        try:
            known, highest = self._read()
        except StartError:  # Damaged since the start: it is written anew.
            return False
        return known == cluster_id and highest >= epoch

    def _read(self) -> tuple[bytes, int]:
        try:
            with self._file.open("rb") as file:
                seen = msgspec.json.decode(file.read(MAX_FILE_BYTES), type=Seen)
            return bytes.fromhex(seen.cluster_id), seen.epoch
        except FileNotFoundError:
            return b"", 0
        except OSError as error:
            raise StartError(f"{self._file}: it cannot be read ({error.strerror}); check state_dir") from None
        except (msgspec.DecodeError, ValueError):
            raise StartError(f"{self._file}: it is damaged; remove it if no DR site was promoted") from None
