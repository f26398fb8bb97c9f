"""Requests that wait for room on a connection: first come, first served, and as many woken as there is room for.

Waking all of them for every free place costs the square of their number: 8,000 took half a minute.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable


class WaitingLine:
    """See the module. Not thread-safe: it belongs to its event loop.

    Somebody waits only while the last look found no room, or another look is due: after `room_made`, and when the
    last of those who were woken has come to take its place, or was cancelled instead and passes its turn on.
    """

    def __init__(self, count_room: Callable[[], int]) -> None:
        self._count_room = count_room
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._woken = 0
        """Those who were woken and have not run since: each will take a place."""
        self._look_due = False

    def __len__(self) -> int:
        """How many wait and were not woken."""
        return len(self._waiting)

    @property
    def empty(self) -> bool:
        """Whether a newcomer takes nobody's turn."""
        return not (self._waiting or self._woken)

    async def wait(self, deadline: float, *, first: bool = False) -> None:
        """Wait for a turn; `first` is for those who were woken before and found no room after all.

        Raises:
            TimeoutError: none came until the deadline (loop time).
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = None
        if first:
            self._waiting.move_to_end(turn, last=False)
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        finally:
            if turn.done() and not turn.cancelled():
                self._woken -= 1
                if not self._woken:
                    self.room_made()
            else:
                self._waiting.pop(turn, None)

    def room_made(self) -> None:
        """There may be room: look soon, once for all answers that came in together."""
        if self._waiting and not self._look_due:
            self._look_due = True
            asyncio.get_running_loop().call_soon(self._look)

    def wake_all(self) -> None:
        """Wake everybody: there is something else to know than room."""
        self._wake(len(self._waiting))

    def _look(self) -> None:
        self._look_due = False
        self._wake(self._count_room() - self._woken)

    def _wake(self, number: int) -> None:
        while number > 0 and self._waiting:
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():  # cancelled, and has not run since
                turn.set_result(None)
                self._woken += 1
                number -= 1
