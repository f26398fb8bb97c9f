"""Files of commands: `-` is standard input or output; a file that cannot be used is one clear line."""

import os
import sys
from pathlib import Path

from hsmctl.failures import USAGE, CommandError

MAX_INPUT_BYTES = 64 << 20
"""One-off crypto reads its input whole, so what it reads is bounded: 64 MiB."""


def read_input(path: str) -> bytes:
    """Return the content of a file, or of standard input for `-`."""
    try:
        if path == "-":
            data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}; check the path and its permissions", USAGE) from None
    if len(data) > MAX_INPUT_BYTES:
        raise CommandError(f"{path} is larger than {MAX_INPUT_BYTES >> 20} MiB; sign a digest of it instead", USAGE)
    return data


def write_output(path: str, data: bytes) -> None:
    """Write to a file, or to standard output for `-`."""
    if path == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}; check the folder", USAGE) from None


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file by rename, so that nobody ever reads half of it; it has its mode from the first byte."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)
