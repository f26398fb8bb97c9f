"""One at a time for each key, in the order of asking: those of this node who write the same record.

Without it they would all try the same state, one of them would win, and who tries again at once would win again: uses
of a busy key would keep its owner from stopping it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hsm_node.core.tombstones import Place


class Turns:
    """Whose turn it is. Used on the event loop."""

    def __init__(self) -> None:
        self._locks: dict[Place, asyncio.Lock] = {}
        self._asking: dict[Place, int] = {}

    def __len__(self) -> int:
        """How many keys somebody writes or waits to write."""
        return len(self._locks)

    @asynccontextmanager
    async def turn(self, place: Place) -> AsyncIterator[None]:
        """Wait for one's turn, and have it."""
        lock = self._locks.setdefault(place, asyncio.Lock())
        self._asking[place] = self._asking.get(place, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._asking[place] -= 1
            if not self._asking[place]:
                del self._asking[place], self._locks[place]
