"""VERIFY_BACKUP: every part and every row is authentic, and keys of the backup do what only they can do.

How it ended is kept in the state directory: an alert asks when a backup was last verified, and whether that went well.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from hsm_daemon import clock, logs
from hsm_node.backends.key_prover import KeyProver
from hsm_node.core.backups import BackupReading, Part
from hsm_node.core.envelopes import RecordError
from hsm_node.core.keyring import Keyring
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_node.core.restoring import DETAILS, Outcome
from hsm_node.service.backup_readings import Kinds, Opened, Readings
from hsm_node.service.request import Request
from hsm_node.state.backup_state import BackupState
from hsm_node.work.pool import Pool
from hsm_wire.backup_files import BackupRow
from hsm_wire.backup_messages import VerifyBackup
from hsm_wire.statuses import Status

AUTHENTIC: Final = "authentic"
PROVEN: Final = "proven"
NOT_PROVEN: Final = "not proven"
DESTROYED: Final = "destroyed"
_FAULTS: Final = (NOT_PROVEN, str(Outcome.UNREADABLE))

_log = logs.logger("hsm_node.backup")


class _Checked(Opened):
    """A file that is being verified."""

    def __init__(self, reading: BackupReading, prove: int, prover: KeyProver, kinds: Kinds) -> None:
        super().__init__(reading)
        self._prover = prover
        self._kinds = kinds
        self._every = max(1, reading.header.records // prove) if prove else 0
        """Of so many keys one is proven; 0: none."""
        self._types: set[str] = set()
        """Of which one was proven."""
        self._keys = 0

    @property
    def good(self) -> bool:
        """Whether nothing was wrong up to here."""
        return not any(self.counts.by_outcome[fault] for fault in _FAULTS)

    def take(self, part: Part) -> None:
        """In a thread, for a device may have to make MACs: take the next part."""
        due = [self._check(row) for row in self.reading.take(part)]
        self._prove([key for key in due if key is not None])

    def _check(self, row: BackupRow) -> Record | None:
        """Count a row; return the key that is to be proven."""
        record = self._opened(row)
        if record is None:
            self.counts.note(Outcome.UNREADABLE, row.name, 0, DETAILS[Outcome.UNREADABLE])
            return None
        self.counts.note(AUTHENTIC, b"", 0, "")
        if record.destroyed:
            self.counts.note(DESTROYED, b"", 0, "")
            return None
        return record if isinstance(record, Record) and self._is_due(record) else None

    def _prove(self, keys: list[Record]) -> None:
        for record in keys:
            # Under an id that nobody has: what is loaded of the key that lives is none of this one.
            apart = msgspec.structs.replace(record, key_id=os.urandom(len(record.key_id)))
            fault = self._prover.prove(apart).fault
            self.counts.note(NOT_PROVEN if fault else PROVEN, record.key_id, record.partition, fault)

    def _opened(self, row: BackupRow) -> Any:
        """Return the record of a row; None: it is not authentic."""
        kind = self._kinds.of(row)
        reading = self.reading
        try:
            return kind and kind.restoring.opened(row.data, row.name, reading.header.cluster_id, reading.ring)
        except RecordError:
            return None

    def _is_due(self, record: Record) -> bool:
        """Whether a key is to be proven: one of each type, and of all of them as many as was asked for."""
        self._keys += 1
        if not self._every:
            return False
        first = record.key_type not in self._types
        self._types.add(record.key_type)
        return first or self._keys % self._every == 0


class BackupChecking:
    """Files that are being verified. On the loop."""

    def __init__(
        self, keyring: Keyring, prover: KeyProver, kinds: Kinds, pool: Pool, state: Callable[[], BackupState | None]
    ) -> None:
        """Verify nothing yet.

        Args:
            keyring: of this node.
            prover: uses keys.
            kinds: of rows that a backup has.
            pool: where the work is done.
            state: where it is kept how it ended; None: nowhere.
        """
        self._keyring = keyring
        self._prover = prover
        self._kinds = kinds
        self._pool = pool
        self._state = state
        self.readings: Readings[_Checked] = Readings()

    async def part(self, request: Request, body: VerifyBackup) -> tuple[Status, bytes]:
        """Take the next part."""
        part = Part(body.part.kind, body.part.body, body.part.mac)
        number = body.reading
        try:
            if number:
                return Status.OK, await self._next(request, number, part)
            begun = partial(BackupReading, part, self._keyring)
            reading = await self._pool.run(request.deadline, begun, measured=False, asker=request)
            opened = _Checked(reading, body.prove, self._prover, self._kinds)
            number = self.readings.begin(opened)
            return Status.OK, opened.counts.answer(number, whole=False, unknown=[])
        except Refusal as refusal:
            if refusal.status is Status.BAD_DATA:
                await self._ended(request, number, None, refusal.detail)
            raise

    async def _next(self, request: Request, number: int, part: Part) -> bytes:
        with self.readings.next(number) as opened:
            reading = opened.reading
            await self._pool.run(request.deadline, lambda: opened.take(part), measured=False, asker=request)
            if reading.ended:
                fault = "" if opened.good else "records or keys of it do not work"
                await self._ended(request, number, opened, fault)
            return opened.counts.answer(number, whole=reading.ended, unknown=[])

    async def _ended(self, request: Request, number: int, opened: _Checked | None, fault: str) -> None:
        """Note how a verification ended; `opened`: what was read to its end."""
        self.readings.end(number)
        now, made = int(clock.now()), 0 if opened is None else opened.reading.header.made
        state = self._state()
        if state is not None:
            await self._pool.run(request.deadline, lambda: state.verified(now, made, good=not fault), measured=False)
        if opened is None or fault:
            logs.event(_log, "error", "a backup was verified and is not good", reason=fault)
        else:
            counts = opened.counts.by_outcome
            said = {"backup": opened.reading.header.backup_id.hex(), "made": made}
            logs.event(_log, "info", "a backup was verified", **said, rows=counts[AUTHENTIC], proven=counts[PROVEN])
