"""The one timer of the process: checks, deadlines and time limits are looked at in its beat."""

import asyncio
from collections.abc import Callable

from hsm_daemon import clock
from proxy.core.requests.deadlines import SLOT_S


class Ticker:
    """Calls its functions every `SLOT_S` seconds with the time."""

    __slots__ = ("_handle", "_loop", "_steps")

    def __init__(self, loop: asyncio.AbstractEventLoop, *steps: Callable[[float], None]) -> None:
        self._loop = loop
        self._steps = steps
        self._handle: asyncio.Handle | None = None

    def start(self) -> None:
        """Begin; the first beat comes at once."""
        self._handle = self._loop.call_soon(self._beat)

    def stop(self) -> None:
        """End."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _beat(self) -> None:
        self._handle = self._loop.call_later(SLOT_S, self._beat)
        now = clock.monotonic()
        for step in self._steps:
            step(now)
