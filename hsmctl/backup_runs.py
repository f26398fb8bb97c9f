"""What a command does with the node of this host and a backup's file: make, verify, restore. Memory: a part or two."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from hsm_client.errors import BadData, BadRequest
from hsm_wire.backup_files import HEADER, MAC_BYTES, PART_HEAD, BackupFileError, BackupHeader
from hsm_wire.backup_messages import (
    BackupItem,
    BackupPart,
    BackupReading,
    CreateBackup,
    CreatedPart,
    RestoreBackup,
    RestoreChoice,
    VerifyBackup,
)
from hsm_wire.opcodes import Opcode
from hsmctl.backup_files import NewFile, header_of, name_in, parts_of
from hsmctl.failures import CommandError
from hsmctl.local_node import LocalNode, local_node

ANOTHER: Final = "use another backup"
CONNECTION_S: Final = 240.0
"""For which one connection is used: a node ends it after ten minutes, whatever it is at."""
MAX_ITEMS: Final = 1_000
"""Records of which more is said than that they were counted; the others are in the counts."""
ENDED: Final = BackupPart(0, b"", b"")
"""Tells the node that a file ends before its end."""
_T = TypeVar("_T", bound=msgspec.Struct)


class Node:
    """The node of this host, over one connection after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = contextlib.ExitStack()
        self._node: LocalNode | None = None
        self._until_s = 0.0

    def __enter__(self) -> "Node":
        return self

    def __exit__(self, *_error: object) -> None:
        self._held.close()

    def request(self, opcode: int, body: msgspec.Struct, result: type[_T]) -> _T:
        """Return the result of an operation."""
        if self._node is None or time.monotonic() > self._until_s:
            self._held.close()
            self._node = self._held.enter_context(local_node(self._path))
            self._until_s = time.monotonic() + CONNECTION_S
        return self._node.request(opcode, body, result)


class Run(msgspec.Struct):
    """One run over a file."""

    header: BackupHeader
    counts: dict[str, int] = {}
    items: list[BackupItem] = []
    unknown: list[str] = []

    def note(self, answer: BackupReading) -> None:
        """Take the answer to a part."""
        self.counts = {count.outcome: count.records for count in answer.counts}
        self.items += answer.items[: MAX_ITEMS - len(self.items)]
        self.unknown = list(answer.unknown)


class Made(msgspec.Struct, frozen=True):
    """A backup that was made."""

    header: BackupHeader
    file: NewFile
    rows: int
    left_out: int


def make(node: Node, out: Path | None, folder: Path | None, *, left_behind: bool = False) -> Made:
    """Have a backup made, and write it all to the disk, not under its name yet.

    `left_behind`: of the side that a promotion has left behind, as far as the node reaches it.
    """
    answer = node.request(Opcode.CREATE_BACKUP, CreateBackup(left_behind=left_behind), CreatedPart)
    header = header_of(BackupPart(HEADER, answer.part[PART_HEAD.size : -MAC_BYTES], b""))
    if folder is not None:
        out = name_in(folder, header.cluster, header.made)
    assert out is not None  # one of both is given
    file = NewFile(out)
    try:
        file.add(answer.part)
        while not answer.last:
            answer = node.request(Opcode.CREATE_BACKUP, CreateBackup(answer.backup_id), CreatedPart)
            file.add(answer.part)
        file.finish()
    except BaseException:
        file.drop()
        raise
    return Made(header, file, answer.rows, answer.left_out)


def verify(node: Node, path: Path, prove: int) -> Run:
    """Have a file verified.

    Raises:
        CommandError: it is damaged; the node has noted that.
    """
    run: Run | None = None
    reading = 0
    try:
        for part in parts_of(path):
            answer = node.request(Opcode.VERIFY_BACKUP, VerifyBackup(part, reading, prove), BackupReading)
            run, reading = run or Run(header_of(part)), answer.reading
            run.note(answer)
    except BackupFileError as error:
        with contextlib.suppress(BadData):  # What it is to note, and what it says then.
            node.request(Opcode.VERIFY_BACKUP, VerifyBackup(ENDED, reading, prove), BackupReading)
        raise _bad(path, str(error)) from None
    except BadData as error:
        raise CommandError(f"{path}: {error.detail}") from None
    assert run is not None  # parts_of yields a header, or raises
    return run


class Restoring:
    """A backup that comes back: first a run that looks, then one that does it."""

    def __init__(self, node: Node, path: Path, choice: RestoreChoice, opcode: int = Opcode.RESTORE_BACKUP) -> None:
        self._node = node
        self._path = path
        self._choice = choice
        self._opcode = opcode
        self._reading = 0

    def look(self) -> Run:
        """Have all of the file read, and return what would be done."""
        with self._damage():
            parts = parts_of(self._path)
            first = next(parts)
            run = Run(header_of(first))
            self._send(run, RestoreBackup(first, choice=self._choice))
            for part in parts:
                self._send(run, RestoreBackup(part, self._reading))
            return run

    def apply(self) -> Run:
        """Do it."""
        with self._damage():
            parts = parts_of(self._path)
            run = Run(header_of(next(parts)))
            for part in parts:
                self._send(run, RestoreBackup(part, self._reading, apply=True))
            return run

    def give_up(self) -> None:
        """Have the node forget the file: it reads only a few at one time, and waits a minute for who goes on."""
        reading, self._reading = self._reading, 0
        if reading:
            with contextlib.suppress(BadData, BadRequest):  # That is how it says so; or it has forgotten it already.
                self._node.request(self._opcode, RestoreBackup(ENDED, reading), BackupReading)

    def _send(self, run: Run, body: RestoreBackup) -> None:
        answer = self._node.request(self._opcode, body, BackupReading)
        self._reading = answer.reading
        run.note(answer)

    @contextlib.contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except BackupFileError as error:
            self.give_up()
            raise _bad(self._path, str(error)) from None
        except BadData as error:
            raise CommandError(f"{self._path}: {error.detail}") from None


def _bad(path: Path, what: str) -> CommandError:
    return CommandError(f"{path}: {what}; {ANOTHER}")
