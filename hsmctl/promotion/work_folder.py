"""The folder in which a promotion makes a store: beside the member's data, and nobody else's.

Theory. The folder of the member's data belongs to the member's user, who may rename and link there what he likes. So
everything is made in a folder that only root enters, and is reached by that folder itself, whatever has its name by
then. Its name is fixed: what a run that was killed has left is found by the next one.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from hsmctl.failures import CommandError
from hsmctl.files import sync_folder

SUFFIX: Final = ".promotion"
PLAN: Final = "plan.json"
NEW: Final = "new"
"""The store that is made; once it and the member's data have changed places, what the member had before."""
SPARE_BYTES: Final = 192 << 20
"""Beside two copies: a member begins two files of its log of 64 MB each, and a page file."""


class Plan(msgspec.Struct, frozen=True):
    """What is to change places; on the disk before it does."""

    epoch: int
    made: int
    """Inode of the folder that was made."""


class WorkFolder:
    """The folder of one run; `path` reaches it under whatever name."""

    def __init__(self, descriptor: int) -> None:
        self.path = Path(f"/proc/{os.getpid()}/fd/{descriptor}")

    @property
    def new(self) -> Path:
        return self.path / NEW

    def write_plan(self, epoch: int) -> None:
        """Note what is about to change places."""
        plan = Plan(epoch, self.new.stat().st_ino)
        with (self.path / PLAN).open("wb") as file:
            file.write(msgspec.json.encode(plan))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self.path)

    def exchanged(self, data: Path) -> Plan | None:
        """Return what was exchanged with those data by a run that then was ended; None: nothing was."""
        try:
            plan = msgspec.json.decode((self.path / PLAN).read_bytes(), type=Plan)
            return plan if data.stat().st_ino == plan.made and self.new.is_dir() else None
        except (OSError, msgspec.DecodeError):
            return None


def check_room(data: Path) -> None:
    """Refuse to begin what the disk has no room for.

    Raises:
        CommandError: it has not.
    """
    size = sum(path.lstat().st_size for path in data.rglob("*"))
    needed, free = 2 * size + SPARE_BYTES, shutil.disk_usage(data.parent).free
    if free < needed:
        raise CommandError(
            f"{data.parent} has {free >> 20} MiB free, and two copies of the member's data need {needed >> 20} MiB; "
            "nothing has changed; make room there, then run this again"
        )


@contextlib.contextmanager
def work_folder(data: Path) -> Iterator[WorkFolder]:
    """Open the folder beside those data, with what an earlier run has left; it is made where it is not there.

    Raises:
        CommandError: somebody else has a folder, a link or a file of that name.
    """
    path = data.parent / f".{data.name}{SUFFIX}"
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}; remove it, then run this again") from None
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise CommandError(f"{path} is not this user's alone; remove it, then run this again")
        yield WorkFolder(descriptor)
    finally:
        os.close(descriptor)


def clear(folder: WorkFolder) -> None:
    """Remove all that is in it."""
    for path in folder.path.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def remove(folder: WorkFolder, data: Path) -> None:
    """Remove it with all that is there."""
    clear(folder)
    with contextlib.suppress(OSError):  # It has another name by now; it is empty.
        (data.parent / f".{data.name}{SUFFIX}").rmdir()
