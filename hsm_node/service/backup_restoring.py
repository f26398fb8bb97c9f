"""RESTORE_BACKUP: what is missing is made, what somebody has named is brought back, all else stays.

The file is read twice. The first run looks whether all of it is authentic and says what would be done, the second does
it; what was done by a run that was interrupted is there, and is found as such by the next.
"""

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final, NamedTuple

from hsm_daemon import clock, logs
from hsm_daemon.log_limit import LimitedLog
from hsm_node.core.backups import BackupReading, Part
from hsm_node.core.envelopes import RecordError, seal
from hsm_node.core.keyring import Keyring, KeyringError
from hsm_node.core.record_table import Entry
from hsm_node.core.refusal import Refusal
from hsm_node.core.restoring import WRITTEN, Choice, Decision, Home, Outcome, decide, joined
from hsm_node.service.backup_readings import Kind, Kinds, Opened, Readings
from hsm_node.service.confirmations import Confirmations
from hsm_node.service.follower import Follower
from hsm_node.service.request import Request
from hsm_node.store.base import Row, Store
from hsm_node.work.pool import Pool
from hsm_wire.backup_files import BackupRow
from hsm_wire.backup_messages import RestoreBackup, RestoreChoice
from hsm_wire.statuses import Status

AT_ONCE: Final = 16
"""Records that are on their way to the store: as many as a distributed one takes at once."""
MAX_TRIES: Final = 8
"""Of one record, against writings of the same through other nodes."""
DAMAGE_STEP: Final = 1 << 20
"""Writings that a damaged record may have had since the backup: what replaces it must count as newer."""
_NARROWING: Final = frozenset({Outcome.SET_BACK, Outcome.DESTROYED, Outcome.JOINED})
"""Outcomes that may forbid what other nodes still allow."""
NO_PARTITION: Final = "cluster.toml has no partition {}: nobody can use it until it has"

_log = logs.logger("hsm_node.backup")
_named = LimitedLog(_log, 10)


class _Found(NamedTuple):
    """A record of the backup as it is in this cluster."""

    kind: Kind
    record: Any


class _Restored(Opened):
    """A file that is being restored."""

    def __init__(self, reading: BackupReading, choice: Choice) -> None:
        super().__init__(reading)
        self.choice = choice
        self.applies = False
        self.newest = 0
        """Revision of the newest row that the run which writes has made or found: what it says is there."""
        self.unconfirmed: set[str] = set()
        """Nodes that may not have what was set back in this part."""

    def begin_to_apply(self) -> None:
        """Begin the run that writes.

        Raises:
            Refusal: not all of the file was read.
        """
        if not self.reading.whole or self.choice.unknown:
            raise Refusal(Status.BAD_REQUEST, "nothing is restored before all of a backup was read; begin anew")
        self.applies = True
        self.reading.again()
        self.counts = type(self.counts)()


class BackupRestoring:
    """Files that are being restored. On the loop."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        follower: Follower,
        kinds: Kinds,
        confirmations: Confirmations,
        partitions: Callable[[], Collection[int]],
        *,
        pool: Pool,
        writer: Pool,
    ) -> None:
        """Restore nothing yet.

        Args:
            store: that records come to.
            keyring: of this node.
            follower: knows what the store has.
            kinds: of rows that a backup has.
            confirmations: of changes of what lives.
            partitions: returns those of the cluster.
            pool: where rows are opened.
            writer: the store's threads.
        """
        self._store = store
        self._keyring = keyring
        self._follower = follower
        self._kinds = kinds
        self._confirmations = confirmations
        self._partitions = partitions
        self._pool = pool
        self._writer = writer
        self.readings: Readings[_Restored] = Readings()

    async def part(self, request: Request, body: RestoreBackup, *, joins: bool = False) -> tuple[Status, bytes]:
        """Take the next part; `joins`: of the side that a promotion has left behind."""
        part = Part(body.part.kind, body.part.body, body.part.mac)
        if not body.reading:
            begun = partial(BackupReading, part, self._keyring)
            reading = await self._pool.run(request.deadline, begun, measured=False, asker=request)
            if joins:
                self._check_left_behind(reading, body.choice)
            opened = _Restored(reading, Choice(body.choice, joins=joins))
            return Status.OK, opened.counts.answer(self.readings.begin(opened), whole=False, unknown=[])
        try:
            with self.readings.next(body.reading) as opened:
                if opened.choice.joins is not joins:
                    raise Refusal(Status.BAD_REQUEST, "this file is being read for another purpose; begin anew")
                await self._next(request, opened, part, applies=body.apply)
                return await self._answer(request, opened, body.reading)
        except BaseException:
            self.readings.end(body.reading)  # What was done is there; the next run finds it.
            raise

    def _check_left_behind(self, reading: BackupReading, choice: RestoreChoice) -> None:
        """Refuse what is not of the side that was left behind."""
        header, own = reading.header, self._store.epoch
        if header.cluster_id != self._store.cluster_id:
            raise Refusal(
                Status.BAD_REQUEST, f"that is of another cluster ({header.cluster}), not of this one's old side"
            )
        if header.epoch >= own:
            text = f"that is of epoch {header.epoch}, and so is this side: no promotion has left it behind"
            raise Refusal(Status.BAD_REQUEST, text)
        if choice.even_destroyed or choice.even_changed:
            raise Refusal(Status.BAD_REQUEST, "what was left behind brings nothing back; restore that from a backup")

    async def _answer(self, request: Request, opened: _Restored, number: int) -> tuple[Status, bytes]:
        """Answer a part; what was made waits for the DR site like what is created, once for all of the part."""
        names = sorted(opened.unconfirmed)
        whole = opened.reading.ended
        if whole and opened.applies:
            self.readings.end(number)
        unknown = opened.choice.unknown if whole else []
        answer = opened.counts.answer(number, whole=whole, unknown=unknown)
        if not opened.newest:
            return Status.OK, answer
        return await self._confirmations.answer_new(request, opened.newest, lambda: answer, names)

    async def _next(self, request: Request, opened: _Restored, part: Part, *, applies: bool) -> None:
        if applies and not opened.applies:
            opened.begin_to_apply()
        opened.unconfirmed.clear()
        if applies != opened.applies:
            raise Refusal(Status.BAD_REQUEST, "this backup is being restored; begin anew for another look")
        home = Home(self._store.cluster_id, self._store.epoch, self._keyring)
        todo = await self._pool.run(
            request.deadline, lambda: self._taken(part, opened, home), measured=False, asker=request
        )
        for start in range(0, len(todo), AT_ONCE):  # The loop goes on in between.
            some = (self._restore(request, opened, each) for each in todo[start : start + AT_ONCE])
            for end in await asyncio.gather(*some, return_exceptions=True):
                if isinstance(end, BaseException):
                    raise end
            await asyncio.sleep(0)
        if opened.reading.ended and opened.applies:
            header, counts = opened.reading.header, opened.counts.by_outcome
            written = sum(counts[outcome] for outcome in WRITTEN)
            said = {"backup": header.backup_id.hex(), "made": header.made, "written": written}
            who = request.principal.identity
            if opened.choice.joins:
                logs.event(_log, "warning", "what was left behind is reconciled", **said, epoch=header.epoch, who=who)
            else:
                logs.event(_log, "warning", "a backup was restored", **said, who=who)

    def _taken(self, part: Part, opened: _Restored, home: Home) -> list[_Found]:
        """In a thread, for a device may have to make MACs: take the next part; return what is to be restored of it."""
        rows = opened.reading.take(part)
        chosen = [self._chosen(opened, row, self._found(row, opened, home)) for row in rows]
        return [found for found in chosen if found is not None]

    def _found(self, row: BackupRow, opened: _Restored, home: Home) -> _Found | None:
        """Return the record of a row; None: it does not open."""
        kind = self._kinds.of(row)
        reading = opened.reading
        try:
            record = kind and kind.restoring.opened(row.data, row.name, reading.header.cluster_id, reading.ring)
            return None if kind is None else _Found(kind, kind.restoring.at_home(record, home))
        except (RecordError, KeyringError):
            return None

    def _chosen(self, opened: _Restored, row: BackupRow, found: _Found | None) -> _Found | None:
        """Return a record that is to be restored; count one that is not."""
        if found is None:
            opened.counts.note(Outcome.UNREADABLE, row.name, 0, opened.choice.details[Outcome.UNREADABLE])
        elif opened.choice.takes(found.record):
            return found
        else:
            opened.counts.note(Outcome.NOT_CHOSEN, b"", 0, "")
        return None

    async def _restore(self, request: Request, opened: _Restored, found: _Found) -> None:
        partition, record_id = found.record.place
        for _ in range(MAX_TRIES):
            held, damaged = await self._held(request, opened.choice, found)
            decision = self._decision(opened.choice, found, held, damaged=damaged)
            done = not (opened.applies and decision.outcome in WRITTEN)
            there = 0 if held is None else held.revision
            revision = there if done else await self._write(request, opened.choice, found, decision.outcome, held)
            if done or revision:
                break
            self._follower.follow()
        else:
            raise Refusal(Status.OVERLOADED, "a record is being changed by too many at once; begin anew")
        if opened.applies:
            opened.newest = max(opened.newest, revision)
            # It may be more restrictive than what was. An interrupted run may have set it back and named nobody.
            told = opened.choice.even_changed(found.record) and decision.outcome in (Outcome.SET_BACK, Outcome.THERE)
            if told or decision.outcome in _NARROWING:
                opened.unconfirmed.update(await self._confirmations.names(revision, request.deadline, request))
        detail = decision.detail
        if decision.outcome in WRITTEN and not detail and partition not in self._partitions():
            detail = NO_PARTITION.format(partition)
        opened.counts.note(decision.outcome, record_id, partition, detail)
        if not done and decision.outcome in (Outcome.BROUGHT_BACK, Outcome.SET_BACK):
            said = {"id": record_id.hex(), "partition": partition, "who": request.principal.identity}
            _named.event("warning", "a record was brought back from a backup", **said, what=str(decision.outcome))

    async def _held(self, request: Request, choice: Choice, found: _Found) -> tuple[Any, bool]:
        """Return the entry that the store has, and whether what it has must not be used."""
        rows = found.kind.rows
        held, name = rows.table.get(*found.record.place), rows.name(*found.record.place)
        if held is not None or name not in self._follower.refused:
            return held, False
        if not choice.joins:
            return None, True
        # This node has seen it in another state than its store has: the other side may have that one, or a newer one.
        row = await self._writer.run(request.deadline, partial(self._store.read, name), asker=request)
        if row is None:
            return None, self._follower.ledger.order_of(name) > found.record.order
        try:
            return Entry(rows.open(row), row.revision), False
        except RecordError:
            return None, True

    def _decision(self, choice: Choice, found: _Found, held: Any, *, damaged: bool) -> Decision:
        """Return what is to be done."""
        record = None if held is None else held.record
        return decide(found.kind.restoring, found.record, record, choice, clock.now(), damaged=damaged)

    async def _write(self, request: Request, choice: Choice, found: _Found, outcome: Outcome, held: Any) -> int:
        """Write what becomes of a record; return its revision, 0 where somebody was faster."""
        rows = found.kind.rows
        name = rows.name(*found.record.place)
        if choice.joins:
            now, revision = (None, 0) if held is None else (held.record, held.revision)
            record = joined(found.kind.restoring, found.record, now, outcome, clock.now())
        else:
            revision, record = await self._after(request, found, outcome, held)
        # In a thread: a device may have to make the MAC.
        sealing = partial(seal, rows.unsealed(record), self._keyring)
        sealed = await self._writer.run(request.deadline, sealing, asker=request)
        row: Row | None
        if revision:
            written = partial(self._store.change, name, revision, sealed, waits=outcome in _NARROWING)
            row = await self._writer.run(request.deadline, written, asker=request)
        else:
            row = await self._writer.run(request.deadline, partial(self._store.create, name, sealed), asker=request)
        if row is None:
            return 0
        self._follower.take_any(row)
        if row.data != sealed:
            return 0
        return row.revision

    async def _after(self, request: Request, found: _Found, outcome: Outcome, held: Any) -> tuple[int, Any]:
        """Return the record to be written, and the revision of what it replaces; 0: of nothing."""
        rows, kind = found.kind
        record, name, now_s = found.record, rows.name(*found.record.place), clock.now()
        if outcome is Outcome.BURIED:
            return 0, kind.buried(record)
        if outcome is Outcome.SET_BACK:
            return held.revision, kind.set_back(record, held.record, now_s)
        if outcome is Outcome.MADE:
            return 0, kind.staying(record, now_s)
        if held is None:
            refused = self._follower.refused.get(name)
            order = self._follower.applied_revision + DAMAGE_STEP
            return (0 if refused is None else refused.revision), kind.counted(kind.staying(record, now_s), order)
        # Memory has not all of a tombstone.
        row = await self._writer.run(request.deadline, partial(self._store.read, name), asker=request)
        if row is None or row.revision != held.revision:
            return held.revision, record  # Refused by the store: then it is looked at anew.
        return row.revision, kind.after(record, rows.open(row), now_s)
