"""One connection of a client: greets, checks who it is, hands requests to the dispatcher."""

import asyncio
from typing import TYPE_CHECKING, Final, cast

from hsm_daemon import clock
from hsm_wire import kinds
from hsm_wire.connection import Connection, agree_on, encode_failure
from hsm_wire.errors import BodyError, RemoteProtocolError
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.messages import Goaway, Hello, Pong, Welcome, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.states import End, State
from hsm_wire.statuses import Status
from proxy.core.answers import refusal
from proxy.core.control_budget import FRAME_COST, STATUS_COST
from proxy.core.parties import Client
from proxy.core.principals import Bound
from proxy.net.write_gate import WriteGate

if TYPE_CHECKING:
    from proxy.net.listener import Listener

_STATUS: Final = int(Opcode.STATUS)
PIECE_BYTES: Final = 16 << 10
"""Bytes whose frames are handled before others have their turn: 512 of the smallest."""


def _nothing(_raw: bytes) -> None:
    """Stand in for the sink of a client that has gone."""


class ClientProtocol(asyncio.Protocol):
    """What a client's connection does; `Listener` holds what all of them share."""

    __slots__ = (
        "_closing",
        "_connection",
        "_ended",
        "_gate",
        "_held",
        "_listener",
        "_transport",
        "_unfinished_since",
        "_unread_since",
        "client",
        "heard",
        "peer",
    )

    def __init__(self, listener: "Listener") -> None:
        self._listener = listener
        self._connection = Connection(End.SERVER, binds=False)
        self._transport: asyncio.Transport | None = None
        self._gate: WriteGate | None = None
        self._closing = False
        self._ended = False
        """The client has shut down its sending side."""
        self._held: bytes | None = None
        """What was read and waits for the identity's control budget; None = it does not wait."""
        self._unfinished_since = 0.0
        """When the frame began that has not come to its end; 0 = there is none."""
        self._unread_since = 0.0
        """Since when it leaves more unread than `client_pause_bytes`; 0 = it does not."""
        self.client: Client | None = None
        self.heard = 0.0
        """When it last sent something."""
        self.peer = "?"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time for HELLO."""
        transport = cast("asyncio.Transport", transport)  # uvloop's is none by class, but by what it does
        self._transport = transport
        self.peer = str(transport.get_extra_info("peername"))
        listener = self._listener
        limits = listener.settings.limits
        transport.set_write_buffer_limits(high=limits.client_pause_bytes)
        self._gate = WriteGate(transport, listener.turn, limits.client_unread_bytes, self._unread)
        self.heard = clock.monotonic()
        if not listener.joined(self):
            self.refuse(Status.OVERLOADED, f"this proxy has its {limits.clients} connections")

    def data_received(self, data: bytes) -> None:
        """Take the frames that are complete now, in pieces: those of one identity must not keep the loop for long."""
        if self._closing:
            return
        if self._held is not None:
            self._held += data  # what the transport had read before it was paused
            return
        while data and not self._closing:
            piece, data = (data, b"") if len(data) <= PIECE_BYTES else (data[:PIECE_BYTES], data[PIECE_BYTES:])
            wait_s = self._take(piece)
            if wait_s:
                self._hold(data, wait_s)
                return

    def _take(self, data: bytes) -> float:
        """Take these bytes; return for how long nothing more of this identity may be taken."""
        connection = self._connection
        frames = connection.receive(data)
        cost = 0.0
        excess = False
        now = clock.monotonic()
        if frames:
            self.heard = now
            request = self._listener.dispatcher.request
            for frame in frames:
                client = self.client
                # After `close` too: the gate drops the answer.
                if frame.kind == kinds.REQUEST and client is not None and not client.leaving:
                    excess = excess or len(client.in_flight) >= client.max_in_flight
                    request(client, frame, now)
                    if frame.opcode == _STATUS:
                        cost += STATUS_COST
                else:
                    self._control(frame, now)
                    cost += FRAME_COST
            if excess:
                self._pause()
        if not connection.buffered:
            self._unfinished_since = 0.0
        elif frames or not self._unfinished_since:
            self._unfinished_since = now
        if connection.fault is not None:
            self._malformed(connection.fault)
        client = self.client
        if cost and client is not None:
            return client.principal.control.spend(cost, self._listener.settings.limits, now)
        return 0.0

    def _hold(self, data: bytes, wait_s: float) -> None:
        """Read nothing more for so long."""
        self._held = data
        self._listener.dispatcher.counters.clients_paced += 1
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
        asyncio.get_running_loop().call_later(wait_s, self._go_on)

    def _go_on(self) -> None:
        """Take what was held, and read on."""
        data, self._held = self._held, None
        if data and not self._closing:
            self.data_received(data)
        if self._held is None:
            self._resume()

    def pause_writing(self) -> None:
        """The client does not read its answers: it is not read either, and it has so long to change its mind."""
        self._unread_since = clock.monotonic()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has read."""
        self._unread_since = 0.0
        self._resume()

    def unread_for(self, now: float) -> float:
        """Return how long the client has left its answers unread."""
        return now - self._unread_since if self._unread_since else 0.0

    def unfinished_for(self, now: float) -> float:
        """Return how long a frame has been coming that is not whole yet, while it is read."""
        return now - self._unfinished_since if self._unfinished_since and not self._unheard else 0.0

    def idle_for(self, now: float) -> float:
        """Return for how long a client that may ask has asked for nothing, and is owed nothing."""
        client = self.client
        return now - self.heard if client is not None and not client.leaving and not client.in_flight else 0.0

    @property
    def unfinished_bytes(self) -> int:
        """Return how many bytes of it are held."""
        return self._connection.buffered

    @property
    def unread_bytes(self) -> int:
        """Return how many bytes of answers wait for it."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def eof_received(self) -> bool:
        """Stay half-open while answers are owed, GOAWAY or not; TLS has no half-close, there an end is an end."""
        transport = self._transport
        if transport is None or self._gate is None:
            return False
        self._gate.flush()  # answers of this very turn: what is collected when the transport closes is lost
        client = self.client
        if self._closing or client is None or not client.in_flight or not transport.can_write_eof():
            return False
        self._ended = True
        client.leaving = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        del exc  # why a client went away is its own affair
        self._closing = True
        self._listener.left(self)
        # Nodes may owe answers to this client for a while yet: what waits for them holds no buffers, and the circle
        # of protocol, gate and transport is cut, so that megabytes do not wait for the garbage collector.
        client = self.client
        if client is not None:
            client.sink = _nothing
            client.resume = client.drained = None
        if self._gate is not None:
            self._gate.lost()
        self._transport = self._gate = None

    def go_away(self, reason: str) -> None:
        """Say GOAWAY; what is in flight is answered, then the connection ends."""
        if self._closing or self._gate is None:
            return
        client = self.client
        if client is None:
            self.refuse(Status.GOING_AWAY, reason)
            return
        if self._connection.state not in (State.OPEN, State.CLIENT_LEAVING):
            return  # it was told already, and ends with its last answer
        self._connection.sent(kinds.GOAWAY)
        self._gate.write(encode_frame(kinds.GOAWAY, encode_body(Goaway(reason))))
        client.leaving = True
        if not client.in_flight:
            self._drained()

    def refuse(self, status: Status, detail: str) -> None:
        """Answer HELLO, or the connection itself, with a failure; then close."""
        if self._gate is not None and not self._closing:
            self._gate.write(encode_failure(0, status, detail))
        self.close()

    def close(self) -> None:
        """Close after the last answers; the listener aborts what does not end in time."""
        if not self._closing and self._gate is not None:
            self._closing = True
            self._listener.closing(self)
            self._gate.close()

    def abort(self) -> None:
        """Drop the connection."""
        self._closing = True
        if self._gate is not None:
            self._gate.abort()

    def _control(self, frame: Frame, now: float) -> None:
        """Handle everything but a REQUEST."""
        client = self.client
        if self._closing:
            return
        if frame.kind == kinds.HELLO:
            self._hello(frame)
        elif client is None or self._gate is None:
            return
        elif frame.kind == kinds.REQUEST:
            self._too_late(client, frame)
        elif frame.kind == kinds.PING:
            pong = encode_body(self._listener.pong())
            self._gate.write(encode_frame(kinds.PONG, pong, request_id=frame.request_id))
        elif frame.kind == kinds.CANCEL:
            self._listener.dispatcher.cancel(client, frame.request_id, now)
        elif frame.kind == kinds.GOAWAY:
            client.leaving = True
            if not client.in_flight:
                self._drained()

    def _too_late(self, client: Client, frame: Frame) -> None:
        """Refuse a request that crossed our GOAWAY."""
        counters = self._listener.dispatcher.counters
        counters.requests += 1
        counters.answered(frame.opcode, int(Status.GOING_AWAY), 0.0)
        client.wire_ids.discard(frame.request_id)
        client.sink(refusal(frame, Status.GOING_AWAY, "this connection is closing; use another one"))

    def _hello(self, frame: Frame) -> None:
        if self._connection.fault is not None:
            return  # what came in the same read broke the rules: that is answered, and nothing else
        assert self._gate is not None
        if self._listener.dispatcher.leaving:
            self.refuse(Status.GOING_AWAY, "this proxy is shutting down; use another one")
            return
        welcome = self._agreed(frame)
        principal = None if welcome is None else self._admitted()
        if welcome is None or principal is None:
            return  # that was answered
        self._connection.sent(kinds.WELCOME)
        self._connection.agree(welcome.max_frame_bytes)
        self.client = Client(
            self._gate.write,
            principal,
            max_in_flight=welcome.max_in_flight,
            max_frame_bytes=welcome.max_frame_bytes,
            wire_ids=self._connection.in_flight,
            drained=self._drained,
            resume=self._resume,
        )
        self._gate.write(encode_frame(kinds.WELCOME, encode_body(welcome)))
        self._listener.greeted(self)

    def _agreed(self, frame: Frame) -> Welcome | None:
        """Return what both ends keep to; None when they cannot agree, which is answered."""
        listener = self._listener
        try:
            return agree_on(
                decode_body(Hello, frame.body),
                listener.settings.limits.max_frame_bytes,
                listener.settings.limits.client_in_flight,
                listener.software,
                listener.configuration_hash,
            )
        except BodyError as error:
            self.refuse(Status.BAD_REQUEST, str(error))
        except RemoteProtocolError as error:
            self.refuse(error.status, error.detail)
        return None

    def _admitted(self) -> Bound | None:
        """Return who is there; None for whoever is not let in, which is answered."""
        listener = self._listener
        assert self._transport is not None
        principal = listener.admit(self._transport, self.peer)
        if principal is None:
            self.refuse(Status.DENIED, "this certificate's identity is not a client of this cluster")
            return None
        if listener.crowded(principal, self.peer):
            self.refuse(
                Status.OVERLOADED, f"this identity has its {listener.settings.limits.identity_clients} connections"
            )
            return None
        return principal

    def _malformed(self, fault: RemoteProtocolError) -> None:
        """Answer what was wrong, then close: nothing after it can be trusted."""
        self._listener.protocol_error(self, fault.detail)
        if self._gate is not None:
            self._gate.write(self._connection.answer_to_fault())
        self.close()

    def _drained(self) -> None:
        """Close after the last answer of a client that is leaving, in a callback of its own."""
        asyncio.get_running_loop().call_soon(self._finish)

    def _finish(self) -> None:
        if self._closing or self._gate is None:
            return
        client = self.client
        if client is not None and client.in_flight:
            return  # a request crossed our GOAWAY; its answer calls `_drained` again
        self._closing = True
        self._listener.closing(self)
        if self._ended:
            self._gate.close()  # nothing more comes that would have to be read
        else:
            self._gate.finish()

    def _pause(self) -> None:
        """Read nothing more of a client that asked beyond its limit, until its next answer. One that is at its limit
        is read: it may cancel, and its PING asks whether this proxy lives."""
        client = self.client
        if client is None or client.paused or len(client.in_flight) < client.max_in_flight:
            return
        if self._transport is not None and not self._transport.is_closing():
            client.paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        """Read on, if nothing else speaks against it."""
        client = self.client
        if client is not None and len(client.in_flight) < client.max_in_flight:
            client.paused = False
        if self._unheard or self._transport is None or self._transport.is_closing():
            return
        if self._unfinished_since:
            self._unfinished_since = clock.monotonic()
        self._transport.resume_reading()

    @property
    def _unheard(self) -> bool:
        """Whether something speaks against reading what this client sends."""
        paused = self.client is not None and self.client.paused
        return self._ended or self._unread_since > 0.0 or self._held is not None or paused

    def _unread(self) -> None:
        self._listener.unread(self)


def proxy_pong(boot_id: bytes, waiting: int, window: int, completed: int) -> Pong:
    """Return what a proxy says of itself: it has no sessions and no store."""
    return Pong(boot_id, waiting, 0, window, completed)
