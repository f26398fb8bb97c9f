"""One drill, from its begin to its result: known answers, the master key, the lag, every record, and keys at work.

The records are those of this site's own copy, not those in memory: a promotion begins with that copy. Each row that
this node has seen must be there, in the state that it has seen or a later one: keys, objects, what is left of destroyed
ones, and what nodes say. Reading, opening and using is done by a thread of low priority; the loop only compares what
comes with what it knows.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple, TypeGuard, TypeVar

from hsm_daemon import clock, logs
from hsm_node.backends.key_prover import KeyProver, Proven
from hsm_node.core.drills import DrillResult, FaultReason, Faults
from hsm_node.core.envelopes import RecordError
from hsm_node.core.key_table import KeyTable
from hsm_node.core.keyring import Keyring
from hsm_node.core.records import Record
from hsm_node.core.recovery_settings import RecoverySettings
from hsm_node.core.refusal import Refusal
from hsm_node.core.tombstones import Place
from hsm_node.service.copy_lag import CopyLag, Lag
from hsm_node.service.follower import Follower
from hsm_node.service.row_kinds import RowKind, RowKinds
from hsm_node.store.base import OwnCopy, Page, Row, StoreError
from hsm_node.work.pool import Pool
from hsm_wire.statuses import Status

STEP_S: Final = 60.0
"""For a page or some keys to have their turn in the pool, which the lag's look and another drill use too."""
PROOF_BATCH: Final = 10
"""Keys that are used before the pace is looked at: 0.5 s where all are of RSA-8192."""
AGAIN_S: Final = 0.05
"""Between two looks at a copy that is behind."""

_log = logs.logger("hsm_node.recovery")

T = TypeVar("T")


class DrillParts(NamedTuple):
    """What a drill works with."""

    follower: Follower
    keys: KeyTable
    kinds: RowKinds
    prover: KeyProver
    known_answers: Callable[[], tuple[str, ...]]
    """Tries every mechanism with keys that everybody knows, in a thread; returns what failed."""
    copy: OwnCopy
    keyring: Keyring
    pool: Pool
    lag: CopyLag


class _Opened(NamedTuple):
    """A row of the copy."""

    name: bytes
    kind: RowKind[Any, Any] | None
    record: Any
    fault: str


class DrillRun:
    """Used once. What goes on meanwhile in the store is no fault: records are compared as of the copy's revision."""

    def __init__(
        self, parts: DrillParts, settings: RecoverySettings, chosen: set[Place] | None, *, commanded: bool
    ) -> None:
        """Prepare.

        Args:
            parts: what it works with.
            settings: the pace, and what must be found.
            chosen: keys to use; None: all.
            commanded: an operator waits for it: it keeps no pace.
        """
        self._parts = parts
        self._settings = settings
        self._chosen = chosen
        self._commanded = commanded
        self._faults = Faults()
        self._refused: set[bytes] = set()
        self._lacking: set[bytes] = set()
        """Names that this node had seen when it began, and that have not come yet."""
        self._as_of = 0
        """The revision of that."""
        self._wanted_types: set[str] = set()
        self._kinds: dict[str, set[str]] = {}
        self._records = self._keys = self._failed = 0
        self._lag: tuple[int | None, float | None] = (None, None)
        self._begun = clock.monotonic()
        self._served_s: float | None = None

    async def result(self) -> DrillResult:
        """Do it all.

        Raises:
            Refusal: the node is stopping.
        """
        at = clock.now()
        try:
            await self._steps()
        except Refusal as refusal:
            if refusal.status is Status.GOING_AWAY:
                raise
            self._faults.add(FaultReason.INSIDE, f"the drill could not go on: {refusal.detail}")
        except Exception as error:  # noqa: BLE001 - a drill that breaks has proved nothing, and must say so
            logs.exception(_log, "a drill failed inside", error)
            self._faults.add(FaultReason.INSIDE, f"the drill itself failed ({type(error).__name__}): see the log")
        lag_records, lag_seconds = self._lag
        return DrillResult(
            at=at,
            seconds=clock.monotonic() - self._begun,
            whole=self._chosen is None,
            commanded=self._commanded,
            keys=self._keys,
            failed=self._failed,
            records=self._records,
            refused=len(self._refused),
            lag_records=lag_records,
            lag_seconds=lag_seconds,
            rto_seconds=self._served_s if self._wanted_types <= set(self._kinds) else None,
            kinds=tuple(f"{name}: {', '.join(sorted(done))}" for name, done in sorted(self._kinds.items())),
            faults=self._faults.found,
        )

    async def _steps(self) -> None:
        ledger = self._parts.follower.ledger
        self._lacking, self._as_of = set(ledger.missing(())), ledger.revision
        await self._answer()
        await self._measure_lag()
        if await self._has_right_key():
            await self._read_copy()

    async def _answer(self) -> None:
        for failure in await self._in_thread(self._parts.known_answers):
            self._faults.add(FaultReason.KNOWN_ANSWERS, f"a known answer is wrong: {failure}")
        self._served_s = clock.monotonic() - self._begun

    async def _measure_lag(self) -> None:
        """Wait until the copy has what there is now, at most for as long as it may be behind."""
        lag, objective_s = self._parts.lag, self._settings.objective_seconds
        first = found = await lag.look()
        begun = clock.monotonic()
        while found.records and clock.monotonic() - begun <= objective_s:
            await asyncio.sleep(AGAIN_S)
            found = await self._reached(first.newest)
        if first.records is None or found.records is None:
            self._faults.add(FaultReason.STORE, f"nobody knows what this site lacks: {first.reason or found.reason}")
            return
        seconds = clock.monotonic() - begun if first.records else 0.0
        self._lag = first.records, seconds
        own_s = self._parts.follower.lag_s
        if seconds > objective_s:
            text = f"this site's copy lacks {first.records} changes for more than {objective_s:g} s"
            self._faults.add(FaultReason.LAG, text)
        elif own_s is not None and own_s > objective_s:
            text = f"this node has had no news of its store for {own_s:.1f} s; {objective_s:g} s are allowed"
            self._faults.add(FaultReason.LAG, text)

    async def _reached(self, newest: int) -> Lag:
        try:
            return Lag(max(0, newest - await self._in_thread(self._parts.copy.revision)))
        except StoreError as error:
            return Lag(None, reason=str(error))

    async def _has_right_key(self) -> bool:
        try:
            version = await self._in_thread(partial(self._parts.copy.master_key_version, self._parts.keyring))
        except StoreError as error:
            self._faults.add(FaultReason.STORE, f"this site's copy of the store cannot be read: {error}")
            return False
        if not version:
            text = "this site's copy of the store is under another master key than this node holds"
            self._faults.add(FaultReason.MASTER_KEY, text)
        return True

    async def _read_copy(self) -> None:
        """Open every record, and use those keys that were chosen."""
        after, revision = b"", 0
        while True:
            begun = clock.monotonic()
            try:
                page = await self._in_thread(partial(self._parts.copy.page, after, revision))
            except StoreError as error:
                self._faults.add(FaultReason.STORE, f"this site's copy of the store cannot be read: {error}")
                return
            revision = page.revision
            await self._take(page)
            await self._pace(begun, len(page.rows) / self._settings.records_per_second)
            if not page.more or not page.rows:
                break
            after = page.rows[-1].name
        self._compare(revision)

    async def _take(self, page: Page) -> None:
        due: list[Record] = []
        for opened in await self._in_thread(partial(self._opened, page.rows)):
            self._records += 1
            self._lacking.discard(opened.name)
            record = opened.record
            if opened.fault or self._is_older(opened, page.revision):
                self._refuse(opened.name, opened.fault or "it is older than one that this node has seen")
            elif self._is_due(record):
                due.append(record)
        for at in range(0, len(due), PROOF_BATCH):
            await self._use(due[at : at + PROOF_BATCH])

    def _is_due(self, record: object) -> TypeGuard[Record]:
        """Whether it is a key that is to be used."""
        if not isinstance(record, Record) or record.destroyed:
            return False
        return self._chosen is None or record.place in self._chosen

    def _opened(self, rows: list[Row]) -> list[_Opened]:
        """In a thread: authenticate rows, and decrypt what they say."""
        found = []
        for row in rows:
            kind = self._parts.kinds.of(row)
            try:
                record = None if kind is None else kind.open(row)
                fault = "it is of no known kind" if kind is None else ""
            except RecordError as error:
                record, fault = None, str(error)
            found.append(_Opened(row.name, kind, record, fault))
        return found

    def _is_older(self, opened: _Opened, revision: int) -> bool:
        """Whether this node knows of a later writing, which the copy should have."""
        known = None if opened.kind is None else opened.kind.known(opened.record)
        if known is None or known.revision > revision:
            return False
        written: int = opened.record.order
        return self._parts.follower.ledger.order_of(opened.name) > written

    async def _use(self, records: list[Record]) -> None:
        begun = clock.monotonic()
        proven = await self._in_thread(lambda: [self._parts.prover.prove(record) for record in records])
        for record, found in zip(records, proven, strict=True):
            self._note(record, found)
        await self._pace(begun, len(records) / self._settings.keys_per_second)

    def _note(self, record: Record, found: Proven) -> None:
        self._keys += 1
        self._wanted_types.add(record.key_type)
        if found.fault:
            self._failed += 1
            partition, key = record.partition, record.key_id.hex()
            text = f"key {key} of partition {partition} ({record.key_type}) does not work: {found.fault}"
            self._faults.add(FaultReason.KEYS, text)
            return
        done = {str(usage.name).lower() for usage in found.usages}
        if not done <= self._kinds.get(record.key_type, set()):
            self._kinds.setdefault(record.key_type, set()).update(done)
            self._served_s = clock.monotonic() - self._begun

    def _compare(self, revision: int) -> None:
        """Look for what the copy lacks, and what this node itself refuses."""
        if revision < self._as_of:
            text = f"this site's copy ends at revision {revision}, and this node has seen revision {self._as_of}"
            self._faults.add(FaultReason.LAG, text)
            self._lacking.clear()  # That may have been made in between.
        for name in sorted(self._lacking):
            self._refuse(name, "this node has it, and the copy does not")
        for name, row in self._parts.follower.refused.items():
            if name not in self._refused:
                self._refuse(name, row.text)
        if len(self._refused) > 1:
            self._faults.add(FaultReason.RECORDS, f"{len(self._refused)} of {self._records} records are refused")

    def _refuse(self, name: bytes, text: str) -> None:
        if not self._refused:
            self._faults.add(FaultReason.RECORDS, f"the record {name.hex()} is refused: {text}")
        self._refused.add(name)

    async def _pace(self, begun: float, seconds: float) -> None:
        if not self._commanded:
            await asyncio.sleep(max(0.0, begun + seconds - clock.monotonic()))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await self._parts.pool.run(clock.monotonic() + STEP_S, work, measured=False)
