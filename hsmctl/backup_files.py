"""Files of backups: read part by part, written so that nobody finds half of one under its name."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final

from hsm_wire.backup_files import (
    END,
    HEAD,
    HEADER,
    MAC_BYTES,
    PART_HEAD,
    BackupFileError,
    BackupHeader,
    check_head,
    read_part_head,
)
from hsm_wire.backup_messages import BackupPart
from hsm_wire.errors import BodyError
from hsm_wire.messages import decode_body
from hsmctl.failures import USAGE, CommandError
from hsmctl.files import sync_folder

SUFFIX: Final = ".backup"
MIN_FILES: Final = 3
"""That stay however old they are: a clock that is wrong once makes all others old."""
ABANDONED_S: Final = 86_400.0
"""After which a file that was begun is nobody's: a run takes minutes."""
_TIME: Final = "%Y%m%dT%H%M%SZ"
_NAME: Final = re.compile(r"redoubt-(?P<cluster>.+)-(?P<time>\d{8}T\d{6}Z)" + re.escape(SUFFIX))


def parts_of(path: Path) -> Iterator[BackupPart]:
    """Yield the parts of a backup, from its header to its end, after which there is nothing.

    Raises:
        BackupFileError: it has not the form of one; what was yielded is no backup then.
    """
    with _opened(path) as file:
        check_head(file.read(len(HEAD)))
        kind = 0
        while kind != END:
            kind, body_bytes = read_part_head(file.read(PART_HEAD.size))
            data = file.read(body_bytes + MAC_BYTES)
            if len(data) != body_bytes + MAC_BYTES:
                raise BackupFileError("it ends too early")
            yield BackupPart(kind, data[:-MAC_BYTES], data[-MAC_BYTES:])
        if file.read(1):
            raise BackupFileError("it goes on behind its end")


def header_of(part: BackupPart) -> BackupHeader:
    """Return what a backup says of itself. Nothing here has authenticated it.

    Raises:
        BackupFileError: it is no header.
    """
    try:
        if part.kind == HEADER:
            return decode_body(BackupHeader, part.body)
    except BodyError:
        pass
    raise BackupFileError("it is damaged")


class NewFile:
    """A backup that is being written: under another name, for its owner alone, until `keep`."""

    def __init__(self, path: Path) -> None:
        """Begin.

        Raises:
            CommandError: there is such a file, or it cannot be made.
        """
        self.path = path
        self.written = path.with_name(f".{path.name}.new")
        if path.exists():
            raise CommandError(f"{path}: there is a file of that name; name another one, or remove it", USAGE)
        with _writing(path):
            self.written.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            self._file = os.fdopen(os.open(self.written, flags, 0o600), "wb")
        self._file.write(HEAD)

    def add(self, part: bytes) -> None:
        """Write the next part."""
        with _writing(self.path):
            self._file.write(part)

    def finish(self) -> None:
        """Have all of it on the disk."""
        with _writing(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def keep(self) -> None:
        """Give it its name."""
        with _writing(self.path):
            self.written.rename(self.path)
            sync_folder(self.path.parent)

    def drop(self) -> None:
        """Remove it, unless it has its name."""
        self._file.close()
        self.written.unlink(missing_ok=True)


def name_in(folder: Path, cluster: str, made: int) -> Path:
    """Return the file of a backup in a folder of backups."""
    moment = datetime.fromtimestamp(made, UTC)
    return folder / f"redoubt-{cluster}-{moment.strftime(_TIME)}{SUFFIX}"


def older_ones(newest: Path, keep_days: int) -> list[Path]:
    """Return the backups of the same cluster in the same folder that are so many days older than that one; of the
    newest ones, itself among them, a few are never in it.

    What has another name than such files have is none of them.
    """
    own = _NAME.fullmatch(newest.name)
    assert own is not None  # made by `name_in`
    oldest = _moment(own["time"]) - timedelta(days=keep_days)
    others = []
    for path in newest.parent.iterdir():
        other = _NAME.fullmatch(path.name)
        if path != newest and other is not None and other["cluster"] == own["cluster"]:
            others.append((_moment(other["time"]), path))
    others.sort(reverse=True)
    return sorted(path for moment, path in others[MIN_FILES - 1 :] if moment < oldest)


def abandoned_ones(newest: Path, now: float) -> list[Path]:
    """Return the files in the same folder that runs for the same cluster have begun, and were killed at."""
    own = _NAME.fullmatch(newest.name)
    assert own is not None  # made by `name_in`
    found = []
    for path in sorted(newest.parent.glob(".*.new")):
        other = _NAME.fullmatch(path.name.removeprefix(".").removesuffix(".new"))
        if other is not None and other["cluster"] == own["cluster"] and path.stat().st_mtime < now - ABANDONED_S:
            found.append(path)
    return found


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:  # 30 February: not one of ours, and never too old.
        return datetime.max.replace(tzinfo=UTC)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}; check the path and its permissions", USAGE) from None
    with file:
        yield file


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandError(
            f"cannot write {path}: {error.strerror}; check the path, its permissions and the space left"
        ) from None
