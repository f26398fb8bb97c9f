"""What this host remembers of the store whatever becomes of it: its cluster id and the highest epoch (design.md,
section 6, rule 5).

Theory. A store that was restored from an old backup, or that a site which was given up comes back with, looks sound
from inside. Only a memory outside of it can tell that the cluster has gone on without it.
"""

import threading
from pathlib import Path
from typing import Final

import msgspec

from hsm_daemon.errors import StartError
from hsm_daemon.replaced_file import replace_file

FILE_NAME: Final = "store.json"
MAX_FILE_BYTES: Final = 4096
"""More than it ever has."""


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file's content."""

    cluster_id: str
    """Hexadecimal."""
    epoch: int


class StateDir:
    """A node's state directory."""

    def __init__(self, path: Path) -> None:
        """Read what is there, write nothing.

        Raises:
            StartError: the file is damaged or cannot be read.
        """
        self._path = path
        self._file = path / FILE_NAME
        self.seen = self._read()
        self._keeping = threading.Lock()
        """Threads that follow the store keep what they see, while the node opens it."""

    def check_present(self, store: Path) -> None:
        """Refuse to make a new store where one was used before.

        Raises:
            StartError: the store's file is missing.
        """
        if self.seen is not None and not store.exists():
            raise StartError(
                f"{store}: the store that this node used is missing; restore it from a backup, correct [store] path, "
                f"or remove {self._file} to begin with an empty store"
            )

    @property
    def epoch(self) -> int:
        """The highest that was seen; 0: none was."""
        return 0 if self.seen is None else self.seen.epoch

    def check_cluster(self, cluster_id: bytes) -> None:
        """Refuse a store that is not the one that was used before.

        Raises:
            StartError: it has another cluster id.
        """
        if self.seen is not None and self.seen.cluster_id != cluster_id.hex():
            raise StartError(
                f"the store has cluster id {cluster_id.hex()}, this node used {self.seen.cluster_id}; correct [store] "
                f"path, or remove {self._file} if the node is to belong to this store"
            )

    def check_epoch(self, epoch: int) -> None:
        """Refuse a store that has not kept up with what was seen of it.

        Raises:
            StartError: it has a lower epoch.
        """
        if epoch < self.epoch:
            raise StartError(
                f"the store has epoch {epoch}, this node has seen {self.epoch}: the store is of before a "
                f"promotion; restore a newer backup, or remove {self._file} if it is to be used all the same"
            )

    def keep(self, cluster_id: bytes, epoch: int) -> None:
        """Remember a store that has passed the checks, and of its epochs the highest; from any thread.

        A file is replaced whole or not at all.

        Raises:
            StartError: it cannot be written.
        """
        seen = Seen(cluster_id.hex(), epoch)
        with self._keeping:
            if self.seen is not None and self.seen.cluster_id == seen.cluster_id and self.seen.epoch >= epoch:
                return
            try:
                replace_file(self._file, msgspec.json.encode(seen) + b"\n")
            except OSError as error:
                raise StartError(
                    f"{self._path}: state_dir cannot be written ({error.strerror}); check its rights"
                ) from None
            self.seen = seen

    def _read(self) -> Seen | None:
        try:
            with self._file.open("rb") as file:
                content = file.read(MAX_FILE_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StartError(f"{self._file}: it cannot be read ({error.strerror}); check state_dir") from None
        try:
            return msgspec.json.decode(content, type=Seen)
        except msgspec.DecodeError:
            raise StartError(f"{self._file}: it is damaged; remove it if the store is the right one") from None
