"""Drills of a node that stands by: every hour with some keys, once a day with all, and when an operator wants one."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from hsm_daemon import clock, logs
from hsm_daemon.tasks import spawn
from hsm_node.core.drills import DrillRecord, DrillResult, drawn, due_at, is_whole_due
from hsm_node.core.recovery_settings import RecoverySettings
from hsm_node.core.refusal import Refusal
from hsm_node.core.tombstones import Place
from hsm_node.service.drill_run import DrillParts, DrillRun

SHORT_S: Final = 60.0
"""For a sample to be drawn, or the result to be written down: behind the steps of another drill."""

_log = logs.logger("hsm_node.recovery")


class Journal(Protocol):
    """Keeps what is remembered of drills beyond the process."""

    def read(self) -> DrillRecord:
        """Return what is kept; nothing where nothing is."""

    def write(self, record: DrillRecord) -> None:
        """Keep it, in a thread.

        Raises:
            OSError: it cannot be written.
        """


class Drills:
    """`sweep` on the loop."""

    def __init__(
        self,
        parts: DrillParts,
        settings: RecoverySettings,
        journal: Journal,
        stands_by: Callable[[], bool],
        shuffle: Callable[[list[tuple[str, Place]]], None],
    ) -> None:
        """Remember earlier drills; begin none yet.

        Args:
            parts: what they work with.
            settings: when they are, and what they must find.
            journal: remembers them.
            stands_by: whether this node is one that proves itself.
            shuffle: brings a list into an order of chance.
        """
        self.settings = settings
        self.lag = parts.lag
        self.record = journal.read()
        self.tried = self.failed = 0
        """Keys that were used, and those of them that did not work, since the start."""
        self.made = self.bad = 0
        """Drills, and those of them that were not good, since the start."""
        self._parts = parts
        self._journal = journal
        self._stands_by = stands_by
        self._shuffle = shuffle
        self._started = clock.now()
        self._own: asyncio.Task[DrillResult | Refusal] | None = None
        self._commanded: asyncio.Task[DrillResult | Refusal] | None = None

    @property
    def due_at(self) -> float:
        """When the next one begins, seconds since 1970."""
        return due_at(self.record, self.settings, self._started, clock.now())

    @property
    def running(self) -> bool:
        """Whether one is under way."""
        return any(task is not None and not task.done() for task in (self._own, self._commanded))

    def sweep(self) -> None:
        """Begin what is due."""
        if not self._stands_by():
            return
        self.lag.sweep()
        if (self._own is None or self._own.done()) and clock.now() >= self.due_at:
            whole = is_whole_due(self.record, self.settings, clock.now())
            self._own = spawn(self._made(whole=whole, commanded=False), "drill")

    async def command(self) -> DrillResult:
        """Do one for an operator; who asks while there is one gets the result of that.

        Raises:
            Refusal: the node is stopping.
        """
        if self._commanded is None or self._commanded.done():
            self._commanded = spawn(self._made(whole=False, commanded=True), "commanded drill")
        result = await asyncio.shield(self._commanded)
        if isinstance(result, Refusal):
            raise result
        return result

    async def _made(self, *, whole: bool, commanded: bool) -> DrillResult | Refusal:
        settings = self.settings
        keys = [(record.key_type, record.place) for record in self._parts.keys.living]
        try:
            chosen = None if whole or len(keys) <= settings.drill_keys else await self._drawn(keys, settings.drill_keys)
            result = await DrillRun(self._parts, settings, chosen, commanded=commanded).result()
        except Refusal as refusal:
            return refusal
        self.made += 1
        self.bad += not result.good
        self.tried += result.keys
        self.failed += result.failed
        self.record = self.record.after(result)
        _say(result)
        await self._keep()
        return result

    async def _drawn(self, keys: list[tuple[str, Place]], size: int) -> set[Place]:
        """Draw a sample in a thread: to shuffle 100,000 keys would keep the loop for as long as a stall."""
        draw = partial(drawn, keys, size, self._shuffle)
        return await self._parts.pool.run(clock.monotonic() + SHORT_S, draw, measured=False)

    async def _keep(self) -> None:
        try:
            await self._parts.pool.run(clock.monotonic() + SHORT_S, partial(self._journal.write, self.record))
        except (OSError, Refusal) as error:
            what = "after a restart this node does not know of it, and makes another one"
            logs.event(_log, "error", "the result of a drill cannot be written", reason=str(error), what=what)


def _say(result: DrillResult) -> None:
    fields = {"keys": result.keys, "failed": result.failed, "records": result.records, "refused": result.refused}
    for fault in result.faults:
        what = "a promotion would not have what it needs: `hsmctl dr status` says what to do"
        logs.event(_log, "error", "a drill has found a fault", reason=str(fault.reason), fault=fault.text, what=what)
    seconds = round(result.seconds, 3)
    logs.event(_log, "info", "a drill has ended", good=result.good, whole=result.whole, **fields, seconds=seconds)
