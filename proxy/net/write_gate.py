"""Collects what is written to connections and hands each one its bytes once per turn of the loop.

Theory. System calls cost more than code: many small answers to one peer become one write. And an answer is
written from *another* peer's callback, so a write may never raise there, nor close anything there: on uvloop a
write to a client that has gone raises inside the node's `data_received` and takes the node's connection with it.
So `write` only stores; flushing happens in a callback of its own, and checks `is_closing`.
"""

import asyncio
from collections.abc import Callable

from hsm_daemon import logs
from hsm_daemon.log_limit import LimitedLog

_log = LimitedLog(logs.logger("proxy.writes"), 10)


class FlushTurn:
    """The gates that have something to write in this turn of the loop."""

    __slots__ = ("_dirty", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._dirty: list[WriteGate] = []

    def add(self, gate: "WriteGate") -> None:
        """Flush that gate at the end of this turn."""
        if not self._dirty:
            self._loop.call_soon(self._flush)
        self._dirty.append(gate)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for gate in dirty:
            try:
                gate.flush()
            except Exception as error:  # noqa: BLE001 - one connection's trouble must not leave the others' answers unsent
                _log.exception("a connection could not be written to and is dropped", error)
                gate.abort()


class _Gone(asyncio.Transport):
    """Stands for a connection that has ended."""

    def is_closing(self) -> bool:
        return True

    def abort(self) -> None:
        """Do nothing: there is nothing left."""


GONE = _Gone()


def _nothing() -> None:
    """Stand in for what a lost connection would have called."""


class WriteGate:
    """The one way out to one peer."""

    __slots__ = ("_limit_bytes", "_overflow", "_pending", "_transport", "_turn")

    def __init__(
        self, transport: asyncio.Transport, turn: FlushTurn, limit_bytes: int, overflow: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._turn = turn
        self._limit_bytes = limit_bytes
        self._overflow = overflow
        self._pending: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send these bytes at the end of the turn. Never raises, never calls back."""
        if not self._pending:
            self._turn.add(self)
        self._pending.append(data)

    def flush(self) -> None:
        """Hand the bytes collected to the transport; a peer that does not read is given up at the limit."""
        pending = self._pending
        if not pending:
            return
        self._pending = []
        transport = self._transport
        if transport.is_closing():
            return
        transport.write(pending[0] if len(pending) == 1 else b"".join(pending))
        if transport.get_write_buffer_size() > self._limit_bytes:
            self._overflow()

    def close(self) -> None:
        """Send what was collected, then close."""
        self.flush()
        if not self._transport.is_closing():
            self._transport.close()

    def finish(self) -> None:
        """Send what was collected, then half-close, so that no answer is lost to a reset."""
        self.flush()
        if self._transport.is_closing():
            return
        if not self._transport.can_write_eof():
            self._transport.close()
            return
        try:
            self._transport.write_eof()
        except OSError:  # the peer has gone in this very turn; the loop tells of it in the next one
            self._transport.abort()

    def lost(self) -> None:
        """Let go of a connection that has ended: whoever still holds the gate must not hold its buffers."""
        self._pending = []
        self._transport = GONE
        self._overflow = _nothing

    def abort(self) -> None:
        """Drop the connection and everything not sent yet."""
        self._pending = []
        self._transport.abort()
