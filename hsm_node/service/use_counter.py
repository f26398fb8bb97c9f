"""Counts uses of keys with max_uses, each in the store before it is made; `core/use_limits.py` says which, and why.

Uses of one key wait in one line at each node, and go to the store several at a time: as many as a record remembers.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from hsm_daemon.tasks import spawn
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_node.core.tombstones import Place
from hsm_node.core.use_limits import KEPT_USES, counted_uses, used_up
from hsm_node.service.key_rewriter import KeyRewriter


class _Use:
    """One that waits. It ends once: counted, or refused."""

    __slots__ = ("_allowed", "deadline", "ended", "mark")

    def __init__(self, mark: bytes, deadline: float, allowed: Callable[[Record], None]) -> None:
        self.mark = mark
        self.deadline = deadline
        self._allowed = allowed
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def is_open(self, record: Record) -> bool:
        """Whether it is to be counted, as the key is now; one that nobody waits for any more is not."""
        if self.ended.done():
            return False
        try:
            self._allowed(record)
        except Refusal as refusal:
            self.refuse(refusal)
            return False
        return True

    def allow(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def refuse(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)


class UseCounter:
    """The lines of one node. Used on the event loop."""

    def __init__(self, rewriter: KeyRewriter) -> None:
        self._rewriter = rewriter
        self._lines: dict[Place, deque[_Use]] = {}
        self.counted = 0
        """Uses that this node counted, or found to be counted before."""
        self.refused = 0
        """Uses refused because the key has made all that its policy allows."""

    async def count(self, place: Place, mark: bytes, deadline: float, allowed: Callable[[Record], None]) -> None:
        """Return when the use is counted, now or when the same request came before.

        Args:
            place: of the key.
            mark: of the request.
            deadline: of the request, on the monotonic clock.
            allowed: raises Refusal where the key, as it is when the use is counted, must not be used that way.

        Raises:
            Refusal: the use must not be made.
        """
        use = _Use(mark, deadline, allowed)
        line = self._lines.get(place)
        if line is None:
            line = self._lines[place] = deque()
            spawn(self._serve(place, line), "uses of a key")
        line.append(use)
        try:
            await use.ended
        except asyncio.CancelledError:  # Nobody waits for it any more: they must not pile up before a store that hangs.
            with contextlib.suppress(ValueError):  # On its way already.
                line.remove(use)
            raise

    async def _serve(self, place: Place, line: deque[_Use]) -> None:
        while line:
            batch = [line.popleft() for _ in range(min(len(line), KEPT_USES))]
            try:
                await self._count(place, batch)
            except Exception as error:  # noqa: BLE001 - whoever waits hears of it, whatever it is
                for use in batch:
                    use.refuse(error)
        del self._lines[place]

    async def _count(self, place: Place, batch: list[_Use]) -> None:
        asked: list[_Use] = []
        verdicts: list[bool] = []

        def change(record: Record) -> Record:
            asked[:] = [use for use in batch if use.is_open(record)]
            after, verdicts[:] = counted_uses(record, [use.mark for use in asked])
            if after is not record:
                self._rewriter.check_rate(place[0])
            return after

        entry = await self._rewriter.rewrite(place, max(use.deadline for use in batch), change)
        for use, allowed in zip(asked, verdicts, strict=True):
            if allowed:
                self.counted += 1
                use.allow()
            else:
                self.refused += 1
                use.refuse(used_up(entry.record))
