"""What a run of `hsmctl dr rejoin` notes in the state_dir of each node of its host before it changes anything.

Theory. Between the first step and the last one no node of the host can be asked: its store has no majority any more,
or it would refuse what was joined. So all that a later run needs is on the disk: which cluster, where the member's old
data go, and which nodes have forgotten what they had seen. The note goes when the nodes run again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from hsmctl.failures import CommandError
from hsmctl.files import replace_file, sync_folder
from hsmctl.promotion.programs import unused

SEEN: Final = "seen.db"
"""In a node's state_dir: what it has seen of its store. Beside it are files of the same name and more."""
ASIDE: Final = ".before-rejoin"
NOTE: Final = "rejoin.json"


class Note(msgspec.Struct, frozen=True):
    """Of one node."""

    cluster: str
    kept: str = ""
    """Where the member's old data go; empty: the host has no member."""
    forgotten: bool = False
    """What this node has seen of the old store is aside."""


class RejoinNotes:
    """Those of the nodes of one host."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Read nothing yet; `folders`: the nodes' state_dirs."""
        self._folders = folders

    @property
    def found(self) -> Note | None:
        """What an interrupted run has left; None: there was none, or it ended.

        Raises:
            CommandError: it cannot be read.
        """
        return next((note for folder in self._folders if (note := _read(folder)) is not None), None)

    def begin(self, note: Note) -> None:
        """Note it for each node; who has a note of the same run keeps it.

        Raises:
            CommandError: it cannot be written.
        """
        for folder in self._folders:
            held = _read(folder)
            if held is None or (held.cluster, held.kept) != (note.cluster, note.kept):
                _write(folder, note)

    def forget(self) -> None:
        """Put aside what the nodes have seen of the store that was left behind, once. They are stopped.

        Raises:
            CommandError: it cannot be renamed.
        """
        for folder in self._folders:
            note = _read(folder)
            if note is not None and not note.forgotten:
                _put_seen_aside(folder)
                _write(folder, msgspec.structs.replace(note, forgotten=True))

    def end(self) -> None:
        """All is done."""
        for folder in self._folders:
            (folder / NOTE).unlink(missing_ok=True)


def _put_seen_aside(folder: Path) -> None:
    try:
        for path in sorted(folder.glob(f"{SEEN}*")):
            if ASIDE not in path.name:
                path.rename(unused(folder, f"{path.name}{ASIDE}"))
        sync_folder(folder)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}; run this as root") from None


def _read(folder: Path) -> Note | None:
    path = folder / NOTE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}; run this as root") from None
    except msgspec.DecodeError:
        raise CommandError(f"{path} is damaged; remove it, then start the nodes of this host by hand") from None


def _write(folder: Path, note: Note) -> None:
    path = folder / NOTE
    try:
        replace_file(path, msgspec.json.encode(note), mode=0o600)
        sync_folder(folder)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}; run this as root") from None
