"""The one way out to one proxy: collected writes, one call a turn, and an orderly end.

Theory. System calls cost more than code, so the answers of a turn leave together. Nothing is written to a transport
that is closing (on uvloop that can take other connections down), nor after the half-close that ends a connection in
order: what comes later than that has no reader.
"""

import asyncio
from typing import Final

DRAIN_S: Final = 1.0
"""How long a connection stays half-closed after its last answer, so that none is lost to a reset."""


class Output:
    """Writes of one connection."""

    __slots__ = ("_due", "_linger", "_loop", "_pending", "_transport", "finished")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pending: list[bytes] = []
        self._due = False
        self._linger: asyncio.TimerHandle | None = None
        self.finished = False
        """The end was begun: nothing is sent any more."""

    def send(self, data: bytes, *, now: bool = False) -> None:
        """Send at the end of this turn, or with the next `flush` when that comes in this turn (`now`)."""
        if self.finished:
            return
        self._pending.append(data)
        if not now and not self._due:
            self._due = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Hand what was collected to the transport."""
        self._due = False
        pending, self._pending = self._pending, []
        if pending and not self._transport.is_closing():
            self._transport.write(b"".join(pending))

    def finish(self) -> None:
        """Write what is owed, half-close where the transport can, and close for good a little later."""
        if self.finished:
            return
        self.flush()
        self.finished = True
        transport = self._transport
        if transport.is_closing():
            return
        if not transport.can_write_eof():
            transport.close()  # TLS says goodbye itself, after what is buffered.
            return
        try:
            transport.write_eof()
        except OSError:  # The peer has gone in this very turn.
            transport.abort()
            return
        self._linger = self._loop.call_later(DRAIN_S, transport.close)

    def lost(self) -> None:
        """Forget everything: the connection has ended."""
        self.finished = True
        self._pending.clear()
        if self._linger is not None:
            self._linger.cancel()
