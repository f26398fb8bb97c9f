"""Makes, verifies and restores backups at a node in this process, as its local socket does; keys for that."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from hsm_daemon import clock
from hsm_node.core.principals import LOCAL_OPERATOR, Principal
from hsm_node.core.refusal import Refusal
from hsm_node.service.request import Request
from hsm_wire import kinds
from hsm_wire.backup_files import MAC_BYTES, PART_HEAD
from hsm_wire.backup_messages import (
    BackupPart,
    BackupReading,
    CreateBackup,
    CreatedPart,
    RestoreBackup,
    RestoreChoice,
    VerifyBackup,
)
from hsm_wire.frames import Frame
from hsm_wire.limits import HEADER_BYTES
from hsm_wire.messages import GenerateKey, KeyInfo, decode_body, encode_body
from hsm_wire.objects import CreateObject, ObjectInfo
from hsm_wire.opcodes import Opcode

ROOT: Final = Principal(LOCAL_OPERATOR, 0, frozenset({"operate"}), 0)
USER: Final = Principal("spiffe://dev/client/dev", 1, frozenset({"use", "manage"}), 0)
CHOOSE_ALL: Final = RestoreChoice()
_T = TypeVar("_T", bound=msgspec.Struct)


class Desk:
    """One node, asked one thing after the other."""

    def __init__(self, node: Any) -> None:
        self.keystore = node.keystore
        self._future: asyncio.Future[bytes]

    def answer(self, _request: Request, _status: int, body: bytes) -> None:
        self._future.set_result(body)

    def refuse(self, _request: Request, refusal: Refusal) -> None:
        self._future.set_exception(refusal)

    async def ask(self, opcode: int, body: msgspec.Struct, form: type[_T], principal: Principal = ROOT) -> _T:
        """Return the answer, or raise the refusal."""
        self._future = asyncio.get_running_loop().create_future()
        frame = Frame(
            kinds.REQUEST, 0, 1, 0, 0, opcode, 0, int.from_bytes(os.urandom(8)), bytes(HEADER_BYTES) + encode_body(body)
        )
        self.keystore.service.follow()
        self.keystore.service.serve(Request(frame, principal, clock.monotonic() + 60, self))
        return decode_body(form, await self._future)

    async def key(self, label: str = "", key_type: str = "ec-p256") -> bytes:
        """Make a key; return its id."""
        key_id = os.urandom(16)
        await self.ask(Opcode.GENERATE_KEY, GenerateKey(key_id, key_type, label), KeyInfo, USER)
        return key_id

    async def object(self, value: bytes = b"value") -> bytes:
        """Make an object; return its id."""
        object_id = os.urandom(16)
        await self.ask(Opcode.CREATE_OBJECT, CreateObject(object_id, "data", value), ObjectInfo, USER)
        return object_id

    async def backup(self) -> list[BackupPart]:
        """Return the parts of a new backup."""
        answer = await self.ask(Opcode.CREATE_BACKUP, CreateBackup(), CreatedPart)
        parts = [part_of(answer.part)]
        while not answer.last:
            answer = await self.ask(Opcode.CREATE_BACKUP, CreateBackup(answer.backup_id), CreatedPart)
            parts.append(part_of(answer.part))
        return parts

    async def verify(self, parts: Sequence[BackupPart], prove: int = 100) -> BackupReading:
        """Return what is said in the end, and of all parts."""
        return await self._read(parts, lambda part, reading: (Opcode.VERIFY_BACKUP, VerifyBackup(part, reading, prove)))

    async def look(
        self,
        parts: Sequence[BackupPart],
        choice: RestoreChoice = CHOOSE_ALL,
        opcode: Opcode = Opcode.RESTORE_BACKUP,
    ) -> BackupReading:
        """Return what would be done."""
        return await self._read(parts, lambda part, reading: (opcode, RestoreBackup(part, reading, choice=choice)))

    async def restore(
        self,
        parts: Sequence[BackupPart],
        choice: RestoreChoice = CHOOSE_ALL,
        opcode: Opcode = Opcode.RESTORE_BACKUP,
    ) -> BackupReading:
        """Return what was done."""
        looked = await self.look(parts, choice, opcode)
        return await self._read(
            parts[1:], lambda part, reading: (opcode, RestoreBackup(part, reading, apply=True)), looked.reading
        )

    async def reconcile(self, parts: Sequence[BackupPart]) -> BackupReading:
        """Return what was taken over from the side that was left behind."""
        return await self.restore(parts, opcode=Opcode.DR_RECONCILE)

    async def _read(
        self,
        parts: Sequence[BackupPart],
        body: Callable[[BackupPart, int], tuple[Opcode, msgspec.Struct]],
        reading: int = 0,
    ) -> BackupReading:
        items = []
        answer = BackupReading(reading, False, [], [], [])
        for part in parts:
            answer = await self.ask(*body(part, answer.reading), BackupReading)
            items += answer.items
        return msgspec.structs.replace(answer, items=items)


def part_of(data: bytes) -> BackupPart:
    """Return a part as a file has it."""
    return BackupPart(data[0], data[PART_HEAD.size : -MAC_BYTES], data[-MAC_BYTES:])


def counts(reading: BackupReading) -> dict[str, int]:
    """Return what was counted."""
    return {count.outcome: count.records for count in reading.counts}


def details(reading: BackupReading, ids: Iterable[bytes]) -> list[str]:
    """Return what is said of these records."""
    said = {item.record_id: item.outcome for item in reading.items}
    return [said[record_id] for record_id in ids]


def two_sides(desk: Desk, node_in: Callable[..., Any], folder: Path) -> Any:
    """Return the node of another side: what this one has now, in its next epoch."""
    folder.mkdir()
    with sqlite3.connect(desk.keystore.store._path) as old, sqlite3.connect(folder / "store.db") as new:
        old.backup(new)
    other = node_in(folder, "stall_s = 60")
    other.store.epoch = 2
    return other
