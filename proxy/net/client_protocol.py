"""One connection of a client: what its frames mean, and how it ends. When it is read, and how much at a time, is
`intake`'s; what HELLO is answered, `greeting`'s."""

import asyncio
from typing import TYPE_CHECKING, cast

from hsm_daemon import clock
from hsm_wire import kinds
from hsm_wire.connection import Connection, encode_failure
from hsm_wire.errors import RemoteProtocolError
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.messages import Goaway, encode_body
from hsm_wire.states import End, State
from hsm_wire.statuses import Status
from proxy.core.control_budget import FRAME_COST, REPORT_COST
from proxy.core.parties import Client
from proxy.core.requests.answers import refusal
from proxy.net import greeting
from proxy.net.intake import Intake
from proxy.net.write_gate import WriteGate

if TYPE_CHECKING:
    from proxy.net.listener import Listener


def _nothing(_raw: bytes) -> None:
    """Stand in for the sink of a client that has gone."""


class ClientProtocol(asyncio.Protocol):
    """What a client's connection does; `Listener` holds what all of them share."""

    __slots__ = (
        "_connection",
        "_gate",
        "_intake",
        "_listener",
        "_transport",
        "client",
        "peer",
    )

    def __init__(self, listener: "Listener") -> None:
        self._listener = listener
        self._connection = Connection(End.SERVER, binds=False)
        self._intake = Intake(self._connection, listener.dispatcher, self._take)
        self._transport: asyncio.Transport | None = None
        self._gate: WriteGate | None = None
        self.client: Client | None = None
        self.peer = "?"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time for HELLO."""
        transport = cast("asyncio.Transport", transport)  # uvloop's is none by class, but by what it does
        self._transport = transport
        self._intake.opened(transport)
        self.peer = str(transport.get_extra_info("peername"))
        listener = self._listener
        limits = listener.settings.limits
        transport.set_write_buffer_limits(high=limits.client_pause_bytes)
        self._gate = WriteGate(transport, listener.turn, limits.client_unread_bytes, self._unread)
        self._intake.heard = clock.monotonic()
        if not listener.joined(self):
            self.refuse(Status.OVERLOADED, f"this proxy has its {limits.clients} connections")

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._intake.receive(data)

    def _take(self, frames: list[Frame], at: int, now: float) -> float:
        """Handle the frames from `at` on, and what must be done after those before, which were requests; return for how
        long nothing more of this identity may be taken."""
        cost = 0.0
        while at < len(frames):
            client = self.client
            frame = frames[at]
            # After `close` too: the gate drops the answer.
            if frame.kind == kinds.REQUEST and client is not None and not client.leaving:
                at = self._listener.dispatcher.requests(client, frames, at, now)
            else:
                self._control(frame, now)
                cost += FRAME_COST
                at += 1
        client = self.client
        if client is not None:
            cost += client.reports * REPORT_COST
            client.reports = 0
            if client.excess:
                client.excess = False
                self._intake.pause()
        if self._connection.fault is not None:
            self._malformed(self._connection.fault)
        if cost and client is not None:
            return client.principal.control.spend(cost, self._listener.settings.limits, now)
        return 0.0

    @property
    def heard(self) -> float:
        """When it last sent something."""
        return self._intake.heard

    def pause_writing(self) -> None:
        """Do not read who does not read."""
        self._intake.answers_unread()

    def resume_writing(self) -> None:
        """Read on."""
        self._intake.answers_read()

    def unread_for(self, now: float) -> float:
        """Return how long the client has left its answers unread."""
        return self._intake.unread_for(now)

    def unfinished_for(self, now: float) -> float:
        """Return how long a frame has been coming that is not whole yet, while it is read."""
        return self._intake.unfinished_for(now)

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
        if self._intake.stopped or client is None or not client.in_flight or not transport.can_write_eof():
            return False
        self._intake.ended = True
        client.leaving = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        del exc  # why a client went away is its own affair
        self._intake.lost()
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
        if self._intake.stopped or self._gate is None:
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
        if self._gate is not None and not self._intake.stopped:
            self._gate.write(encode_failure(0, status, detail))
        self.close()

    def close(self) -> None:
        """Close after the last answers; the listener aborts what does not end in time."""
        if not self._intake.stopped and self._gate is not None:
            self._intake.stopped = True
            self._listener.closing(self)
            self._gate.close()

    def abort(self) -> None:
        """Drop the connection."""
        self._intake.stopped = True
        if self._gate is not None:
            self._gate.abort()

    def _control(self, frame: Frame, now: float) -> None:
        """Handle everything but a REQUEST."""
        client = self.client
        if self._intake.stopped:
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
        counters.answered(frame.opcode, int(Status.GOING_AWAY), None)
        client.wire_ids.discard(frame.request_id)
        client.sink(refusal(frame, Status.GOING_AWAY, "this connection is closing; use another one"))

    def _hello(self, frame: Frame) -> None:
        if self._connection.fault is not None:
            return  # what came in the same read broke the rules: that is answered, and nothing else
        assert self._gate is not None
        assert self._transport is not None
        try:
            welcome, principal = greeting.answer(frame.body, self._listener, self._transport, self.peer)
        except greeting.Refused as refused:
            self.refuse(refused.status, refused.detail)
            return
        self._connection.sent(kinds.WELCOME)
        self._connection.agree(welcome.max_frame_bytes)
        self.client = self._intake.client = Client(
            self._gate.write,
            principal,
            max_in_flight=welcome.max_in_flight,
            max_frame_bytes=welcome.max_frame_bytes,
            wire_ids=self._connection.in_flight,
            drained=self._drained,
            resume=self._intake.resume,
        )
        self._gate.write(encode_frame(kinds.WELCOME, encode_body(welcome)))
        self._listener.greeted(self)

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
        if self._intake.stopped or self._gate is None:
            return
        client = self.client
        if client is not None and client.in_flight:
            return  # a request crossed our GOAWAY; its answer calls `_drained` again
        self._intake.stopped = True
        self._listener.closing(self)
        if self._intake.ended:
            self._gate.close()  # nothing more comes that would have to be read
        else:
            self._gate.finish()

    def _unread(self) -> None:
        self._listener.unread(self)
