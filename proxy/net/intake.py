"""What one client sends, from the socket to frames: in pieces, within its identity's budget, and not at all while
something speaks against it.

Theory. Nobody is read without a bound: who does not read its answers, who asked beyond its limit and who has used up
the control budget waits in its own socket, where it costs this proxy nothing and the others no time.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from hsm_daemon import clock
from hsm_wire.connection import Connection
from hsm_wire.frames import Frame
from proxy.core.parties import Client
from proxy.core.requests.dispatcher import Dispatcher

PIECE_BYTES: Final = 16 << 10
"""Bytes whose frames are handled before others have their turn: 512 of the smallest."""
Take = Callable[[list[Frame], int, float], float]
"""Handles frames, from that one on, at a time; returns for how many seconds nothing more may be taken."""


def _nothing(_frames: list[Frame], _at: int, _now: float) -> float:
    """Stand in for the protocol of a connection that has ended."""
    return 0.0


class Intake:
    """The reading side of one connection."""

    __slots__ = (
        "_connection",
        "_dispatcher",
        "_held",
        "_take",
        "_transport",
        "_unfinished_since",
        "_unread_since",
        "client",
        "ended",
        "heard",
        "stopped",
    )

    def __init__(self, connection: Connection, dispatcher: Dispatcher, take: Take) -> None:
        self._connection = connection
        self._dispatcher = dispatcher
        self._take = take
        self._transport: asyncio.Transport | None = None
        self._held: bytes | None = None
        """What was read and waits for the identity's control budget; None = it does not wait."""
        self._unfinished_since = 0.0
        """When the frame began that has not come to its end; 0 = there is none."""
        self._unread_since = 0.0
        """Since when it leaves more unread than `client_pause_bytes`; 0 = it does not."""
        self.client: Client | None = None
        """Who it is, once it has said HELLO."""
        self.heard = 0.0
        """When it last sent something."""
        self.ended = False
        """The client has shut down its sending side."""
        self.stopped = False
        """The connection is being closed: nothing more is taken."""

    def opened(self, transport: asyncio.Transport) -> None:
        """Read from here."""
        self._transport = transport

    def lost(self) -> None:
        """Let go of a connection that has ended, and of its bytes."""
        self.stopped = True
        self._transport = None
        self._held = None
        self._take = _nothing

    def receive(self, data: bytes) -> None:
        """Take the frames that are complete now, in pieces: those of one identity must not keep the loop for long."""
        if self.stopped:
            return
        if self._held is not None:
            self._held += data  # what the transport had read before it was paused
            return
        if len(data) <= PIECE_BYTES:
            wait_s = self._receive_piece(data)
            if wait_s:
                self._hold(b"", wait_s)
            return
        while data and not self.stopped:
            piece, data = (data, b"") if len(data) <= PIECE_BYTES else (data[:PIECE_BYTES], data[PIECE_BYTES:])
            wait_s = self._receive_piece(piece)
            if wait_s:
                self._hold(data, wait_s)
                return

    def pause(self) -> None:
        """Read nothing more of a client that asked beyond its limit, until its next answer. One that is at its limit
        is read: it may cancel, and its PING asks whether this proxy lives."""
        client = self.client
        if client is None or client.paused or len(client.in_flight) < client.max_in_flight:
            return
        if self._transport is not None and not self._transport.is_closing():
            client.paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on, if nothing else speaks against it."""
        client = self.client
        if client is not None and len(client.in_flight) < client.max_in_flight:
            client.paused = False
        if self._unheard or self._transport is None or self._transport.is_closing():
            return
        if self._unfinished_since:
            self._unfinished_since = clock.monotonic()
        self._transport.resume_reading()

    def answers_unread(self) -> None:
        """The client does not read its answers: it is not read either, and it has so long to change its mind."""
        self._unread_since = clock.monotonic()
        self._stop_reading()

    def answers_read(self) -> None:
        """The client has read."""
        self._unread_since = 0.0
        self.resume()

    def unread_for(self, now: float) -> float:
        """Return how long the client has left its answers unread."""
        return now - self._unread_since if self._unread_since else 0.0

    def unfinished_for(self, now: float) -> float:
        """Return how long a frame has been coming that is not whole yet, while it is read."""
        return now - self._unfinished_since if self._unfinished_since and not self._unheard else 0.0

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _receive_piece(self, data: bytes) -> float:
        connection = self._connection
        frames = connection.receive(data)
        now = clock.monotonic()
        wait_s = 0.0
        client = self.client
        at = 0
        if frames:
            self.heard = now
            if client is not None and not client.leaving:
                at = self._dispatcher.requests(client, frames, 0, now)
        if at < len(frames) or connection.fault is not None or (client and (client.excess or client.reports)):
            wait_s = self._take(frames, at, now)
        if not connection.buffered:
            self._unfinished_since = 0.0
        elif frames or not self._unfinished_since:
            self._unfinished_since = now
        return wait_s

    def _hold(self, data: bytes, wait_s: float) -> None:
        """Read nothing more for so long."""
        self._held = data
        self._dispatcher.counters.clients_paced += 1
        self._stop_reading()
        asyncio.get_running_loop().call_later(wait_s, self._go_on)

    def _go_on(self) -> None:
        """Take what was held, and read on."""
        data, self._held = self._held, None
        if data:
            self.receive(data)
        if self._held is None:
            self.resume()

    def _stop_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    @property
    def _unheard(self) -> bool:
        """Whether something speaks against reading what this client sends."""
        paused = self.client is not None and self.client.paused
        return self.ended or self._unread_since > 0.0 or self._held is not None or paused
