"""A small file of the state directory: replaced whole or not at all, whatever happens meanwhile."""

import contextlib
import os
from pathlib import Path


def replace_file(path: Path, content: bytes, *, makes_folder: bool = True) -> None:
    """Write it, private to this user; it is on the disk then.

    Args:
        path: of the file.
        content: of all of it.
        makes_folder: a folder that is missing is made; else that is an error.

    Raises:
        OSError: what was there before is there still.
    """
    folder = path.parent
    fresh = folder / f".{path.name}.{os.getpid()}.new"
    try:
        if makes_folder:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
        _sync_folder(folder)
    except OSError:
        with contextlib.suppress(OSError):  # It may be what is wrong; that is said by whoever called.
            fresh.unlink(missing_ok=True)
        raise


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
