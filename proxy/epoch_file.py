"""What this host remembers of the cluster over restarts of its proxy: its id, and the highest epoch."""

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

        It waits for the disk, on the loop: nothing may follow from an epoch that a restart would forget.
        """
        try:
            replace_file(self._file, msgspec.json.encode(Seen(cluster_id.hex(), epoch)) + b"\n")
        except OSError as error:
            return f"{self._file.parent}: {error.strerror}"
        return ""

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
