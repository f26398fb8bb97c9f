"""One at a time for each key, in the order of asking: those of this node who write the same record.

Without it they would all try the same state, one of them would win, and who tries again at once would win again: uses
of a busy key would keep its owner from stopping it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hsm_daemon import clock
from hsm_node.core.refusal import Refusal
from hsm_node.core.tombstones import Place
from hsm_wire.statuses import Status


class Turns:
    """Whose turn it is. Used on the event loop."""

    def __init__(self) -> None:
        self._locks: dict[Place, asyncio.Lock] = {}
        self._asking: dict[Place, int] = {}

    def __len__(self) -> int:
        """How many keys somebody writes or waits to write."""
        return len(self._locks)

    @asynccontextmanager
    async def turn(self, place: Place, deadline: float) -> AsyncIterator[None]:
        """Wait for one's turn until that moment on the monotonic clock, and have it.

        Raises:
            Refusal: it did not come in time: whoever has it may wait for a store that hangs.
        """
        lock = self._locks.setdefault(place, asyncio.Lock())
        self._asking[place] = self._asking.get(place, 0) + 1
        try:
            await _acquire(lock, deadline)
            try:
                yield
            finally:
                lock.release()
        finally:
            self._asking[place] -= 1
            if not self._asking[place]:
                del self._asking[place], self._locks[place]


async def _acquire(lock: asyncio.Lock, deadline: float) -> None:
    try:
        async with asyncio.timeout(deadline - clock.monotonic()):
            await lock.acquire()
    except TimeoutError:
        detail = "the time ran out while the key was being written for others"
        raise Refusal(Status.TIMEOUT, detail, not_executed=True) from None
