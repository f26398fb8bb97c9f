"""Files of commands: `-` is standard input or output; a file that cannot be used is one clear line."""

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from hsm_wire.limits import HARD_MAX_FRAME_BYTES
from hsmctl.failures import USAGE, CommandError
from hsmctl.output import standard_output

MAX_INPUT_BYTES: Final = HARD_MAX_FRAME_BYTES
"""What is sent is read whole, so what is read is bounded: no frame is ever larger than this."""
CHUNK_BYTES: Final = 1 << 20
"""What is hashed here is read in pieces of this size, however large the file is."""
SMALLER: Final = "name a smaller file"


def read_input(path: str, advice: str = SMALLER) -> bytes:
    """Return the content of a file, or of standard input for `-`; `advice` says what to do about one too large."""
    with _opened(path) as file:
        data = file.read(MAX_INPUT_BYTES + 1)
    if len(data) > MAX_INPUT_BYTES:
        raise too_large(path, f"more than {MAX_INPUT_BYTES >> 20} MiB", advice)
    return data


def read_or_hash(path: str, hash_name: str, whole_bytes: int) -> tuple[bytes, bool]:
    """Return the content of a file of at most `whole_bytes`, else the digest of it, and whether it is the digest."""
    with _opened(path) as file:
        data = file.read(whole_bytes + 1)
        if len(data) <= whole_bytes:
            return data, False
        digest = hashlib.new(hash_name)
        while data:
            digest.update(data)
            data = file.read(CHUNK_BYTES)
    return digest.digest(), True


def too_large(path: str, size: str, advice: str) -> CommandError:
    """Return the error for an input that no request can carry."""
    return CommandError(f"{shown(path)} has {size}, which one request cannot carry; {advice}", USAGE)


def one_standard_input(*paths: str | None) -> None:
    """Refuse a command line that wants two things from standard input."""
    if paths.count("-") > 1:
        raise CommandError("only one file can be - (standard input); name the other one by its path", USAGE)


def shown(path: str) -> str:
    """Return a path as errors name it."""
    return "standard input" if path == "-" else path


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    try:
        if path == "-":
            yield sys.stdin.buffer
        else:
            with Path(path).open("rb") as file:
                yield file
    except OSError as error:
        raise CommandError(
            f"cannot read {shown(path)}: {error.strerror}; check the path and its permissions", USAGE
        ) from None


def write_output(path: str, data: bytes) -> None:
    """Write to a file, or to standard output for `-`."""
    if path == "-":
        with standard_output():
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        return
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise CommandError(
            f"cannot write {path}: {error.strerror}; check the path, its permissions and the space left", USAGE
        ) from None


def raw_output(path: str | None, as_json: bool) -> str:
    """Return where raw bytes go: standard output unless a file is named, but to a terminal only if `-` is."""
    if path is None and not as_json and sys.stdout.isatty():
        raise CommandError("raw bytes do not belong on a terminal; add --out FILE, or --out - to have them here", USAGE)
    return path or "-"


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file by rename, so that nobody ever reads half of it; it has its mode from the first byte."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)


def sync_folder(path: Path) -> None:
    """Bring the names of a folder to the disk.

    Raises:
        OSError: they may not be there.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
