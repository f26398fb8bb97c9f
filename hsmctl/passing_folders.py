"""A folder for as long as a command runs. What a killed one has left there is removed by the next.

Theory. Whoever has such a folder holds a lock on it, which ends with the process, however that ends. So a folder that
can be locked has no owner any more.
"""

import fcntl
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hsmctl.failures import CommandError


@contextmanager
def passing_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Have a folder there, for its owner alone, that is gone afterwards: also where the process is told to end.

    Raises:
        CommandError: it cannot be made.
    """
    before = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        _remove_left(parent, prefix)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as place:
            held = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX)
                yield Path(place)
            finally:
                os.close(held)
    except OSError as error:
        raise CommandError(f"cannot write {error.filename or parent}: {error.strerror}; run this as root") from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _remove_left(parent: Path, prefix: str) -> None:
    for path in sorted(parent.glob(f"{prefix}*")):
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
        except BlockingIOError:
            pass  # Another run is at it.
        finally:
            os.close(held)
