"""One connection from a proxy: bytes to requests, answers to bytes.

Theory. A peer that does not read its answers is not read either, so what it can make this node hold is bounded by
its requests in flight. What a frame meets does not depend on how the bytes were cut: the link goes by what it has
said itself (`_leaving`), not by the state that the rest of a chunk has led to. After a stall of the loop nothing that
was sent meanwhile is served: the proxy has given it to another node long ago.
"""

import asyncio
from collections.abc import Callable
from typing import ClassVar, Final, cast

from hsm_daemon import clock
from hsm_node.core.principals import Bindings, Principal
from hsm_node.core.refusal import Refusal
from hsm_node.net import greeting
from hsm_node.net.host import Host
from hsm_node.net.output import Output
from hsm_node.service.request import Request
from hsm_wire import kinds, limits
from hsm_wire.connection import Connection, encode_failure
from hsm_wire.errors import BodyError, LocalProtocolError
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.messages import Bind, Goaway, Unbind, decode_body, encode_body
from hsm_wire.operations import OPERATIONS
from hsm_wire.states import End, State
from hsm_wire.statuses import Status

STALE: Final = int(kinds.Flag.STALE)


class Link(asyncio.Protocol):
    """The server's end of a connection between proxy and node."""

    def __init__(self, host: Host, hello_limit_s: float, everybody: Principal | None = None) -> None:
        """Prepare; `everybody`: who asks, whatever is asked, where nobody binds principals."""
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._connection = Connection(End.SERVER, binds=everybody is None)
        self._everybody = everybody
        self._bindings = Bindings(host.cluster)
        self.peer = ""
        """Which proxy this is: its identity, without TLS the name that HELLO gives."""
        self._identity = ""
        """What its certificate says; empty without TLS."""
        self._requests: dict[int, Request] = {}
        self._max_in_flight = 1
        self._max_frame_bytes = limits.GREETING_MAX_FRAME_BYTES
        self._output: Output | None = None
        self._leaving = False
        """This end said GOAWAY."""
        self._receiving = False
        self._read_at = 0.0
        """When the bytes came that are being served; 0: none are. What came with them is timed with them."""
        self._transport: asyncio.Transport | None = None
        self._hello_limit_s = hello_limit_s
        self._timer: asyncio.TimerHandle | None = None
        self._ending = False
        self._refusal: Refusal | None = None

    @property
    def greeted(self) -> bool:
        """Whether HELLO and WELCOME have passed."""
        return self._connection.state not in (State.NEW, State.GREETED, State.REFUSED)

    @property
    def in_flight(self) -> int:
        """Requests without an answer."""
        return len(self._requests)

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A stream server makes nothing else; uvloop's transports are no subclass, so this cannot be asserted.
        self._transport = cast("asyncio.Transport", transport)
        self._output = Output(self._transport, self._loop)
        try:
            peer = self._host.admit(self, transport)
        except Refusal as refusal:
            self._refusal = refusal  # Told when HELLO has come: closing with it unread would reset the connection.
            peer = ""
        if peer is None:
            self._transport.abort()
            return
        self.peer = self._identity = peer
        self._timer = self._loop.call_later(self._hello_limit_s, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._ending or self._host.stalled():
            return
        frames = self._connection.receive(data)
        self._receiving = True
        self._read_at = begun = clock.monotonic()
        followed = False
        requests = answered = 0
        for frame in frames:
            if frame.kind == kinds.REQUEST:
                if not followed:
                    self._host.follow()
                    followed = True
                waiting = len(self._requests)
                requests += 1
                self._request(frame, begun)
                answered += len(self._requests) == waiting
            else:
                self._ON_FRAME[frame.kind](self, frame)
        if requests:
            self._served(frames, requests, answered, clock.monotonic() - begun)
        if self._connection.fault is not None:
            self._send(self._connection.answer_to_fault())
            self._end()
        self._receiving = False
        self._read_at = 0.0
        if self._output is not None:
            self._output.flush()
        self._maybe_end()

    def _served(self, frames: list[Frame], requests: int, answered: int, seconds: float) -> None:
        """Note how long what one read brought took."""
        if answered == requests:  # What went to a thread is measured there.
            self._host.served(answered, seconds)
        if seconds >= self._host.slow.noted_s:
            asked = [frame for frame in frames if frame.kind == kinds.REQUEST]
            self._host.slow.served([frame for frame in asked if frame.request_id not in self._requests], seconds)

    def eof_received(self) -> bool:
        # A proxy that will send no more still wants its answers.
        if not self._requests or self._connection.state in (State.NEW, State.GREETED):
            return False
        self._ending = True
        return True

    def pause_writing(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # A lost proxy is no event of ours; it sends what it lacks again.
        self._transport = None
        if self._output is not None:
            self._output.lost()
            self._output = None  # Cuts the circle with the transport: its TLS buffers do not wait for the collector.
        if self._timer is not None:
            self._timer.cancel()
        for request in list(self._requests.values()):
            request.give_up()  # Nobody waits for it any more.
        self._requests.clear()
        self._host.closed(self)

    # ---- AnswerSink

    def answer(self, request: Request, status: int, body: bytes) -> None:
        """Send a result."""
        self._host.answered(request.opcode, status, done=True)
        if request.arrived != self._read_at:
            self._host.slow.answered(request, status)
        if self._requests.pop(request.request_id, None) is None:
            return
        if len(body) + limits.MIN_LENGTH > self._max_frame_bytes:
            self._send_failure(request, Refusal(Status.TOO_LARGE, "the answer is above the agreed frame size"))
            return
        self._connection.in_flight.discard(request.request_id)
        self._send(
            encode_frame(
                kinds.RESPONSE,
                body,
                request_id=request.request_id,
                opcode=request.opcode,
                status=status,
                flags=STALE if self._stale(request.stale) else 0,
                operation_id=request.operation_id,
            )
        )
        if not self._receiving:
            self._maybe_end()

    def refuse(self, request: Request, refusal: Refusal) -> None:
        """Send a failure."""
        self._host.answered(request.opcode, int(refusal.status), done=refusal.after_work)
        if request.arrived != self._read_at:
            self._host.slow.answered(request, int(refusal.status))
        if self._requests.pop(request.request_id, None) is None:
            return
        self._send_failure(request, refusal)
        if not self._receiving:
            self._maybe_end()

    # ---- leaving

    def leave(self, reason: str) -> None:
        """Say GOAWAY; the connection ends when everything in flight is answered."""
        if self._say_goaway(reason):
            self._maybe_end()

    def dismiss(self, reason: str) -> None:
        """Say GOAWAY and end at once, without the answers that are missing: others have time for them."""
        if self._say_goaway(reason) or self.greeted:
            self._end()

    def _say_goaway(self, reason: str) -> bool:
        if self._leaving or self._ending:
            return False
        try:
            self._connection.sent(kinds.GOAWAY)
        except LocalProtocolError:  # Not greeted yet, or broken: nothing is owed.
            if not self.greeted:
                self._end()
            return False
        self._leaving = True
        self._send(encode_frame(kinds.GOAWAY, encode_body(Goaway(reason))))
        return True

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _maybe_end(self) -> None:
        leaving = self._connection.state in (State.SERVER_LEAVING, State.CLIENT_LEAVING, State.BOTH_LEAVING)
        if (leaving or self._ending) and not self._requests:
            self._end()

    def _end(self) -> None:
        """Send what is owed, then close. Requests that are still at work have lost their asker."""
        self._ending = True
        for request in list(self._requests.values()):
            request.give_up()
        self._requests.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._output is not None:
            self._output.finish()

    # ---- frames

    def _request(self, frame: Frame, now: float) -> None:
        principal = self._everybody or self._bindings.principal(frame.principal)
        if principal is None:
            self._refuse_frame(
                frame, Refusal(Status.DENIED, f"principal {frame.principal} is not bound", not_executed=True)
            )
            return
        if self._leaving:
            self._refuse_frame(frame, Refusal(Status.GOING_AWAY, "the node is shutting down", not_executed=True))
            return
        if len(self._requests) >= self._max_in_flight:
            self._refuse_frame(
                frame, Refusal(Status.OVERLOADED, f"{self._max_in_flight} requests are in flight", not_executed=True)
            )
            return
        timeout_ms = frame.timeout_ms
        if not timeout_ms:
            operation = OPERATIONS.get(frame.opcode)
            timeout_ms = limits.DEFAULT_TIMEOUT_MS if operation is None else operation.default_timeout_ms
        deadline = now + min(timeout_ms, limits.MAX_TIMEOUT_MS) / 1000
        request = Request(frame, principal, deadline, self, now)
        self._requests[frame.request_id] = request
        self._host.serve(request)

    def _hello(self, frame: Frame) -> None:
        if self._connection.fault is not None:
            return  # What came in the same read broke the rules: that is answered, and nothing else.
        try:
            if self._refusal is not None:
                raise self._refusal
            proxy, welcome = greeting.answer(frame.body, self._host)
        except Refusal as refusal:
            self._connection.sent(kinds.RESPONSE)
            self._send_refusal(frame.request_id, refusal)
            self._end()
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.peer:
            self.peer = proxy
        self._connection.sent(kinds.WELCOME)
        self._connection.agree(welcome.max_frame_bytes)
        self._max_in_flight = welcome.max_in_flight
        self._max_frame_bytes = welcome.max_frame_bytes
        self._send(encode_frame(kinds.WELCOME, encode_body(welcome), request_id=frame.request_id))

    def _bind(self, frame: Frame) -> None:
        try:
            self._bindings.bind(decode_body(Bind, frame.body), self._identity)
        except Refusal as refusal:
            self._send_refusal(frame.request_id, refusal)
        except BodyError as error:
            self._send_refusal(frame.request_id, Refusal(Status.BAD_REQUEST, str(error)))

    def _unbind(self, frame: Frame) -> None:
        try:
            self._bindings.unbind(decode_body(Unbind, frame.body).number)
        except BodyError as error:
            self._send_refusal(frame.request_id, Refusal(Status.BAD_REQUEST, str(error)))

    def _ping(self, frame: Frame) -> None:
        self._send(encode_frame(kinds.PONG, self._host.pong(), request_id=frame.request_id))

    def _cancel(self, frame: Frame) -> None:
        request = self._requests.get(frame.request_id)
        if request is not None:
            request.cancel()

    def _ignore(self, frame: Frame) -> None:
        """Take a frame that asks for nothing."""

    _ON_FRAME: ClassVar[dict[int, Callable[["Link", Frame], None]]] = {
        kinds.HELLO: _hello,
        kinds.BIND: _bind,
        kinds.UNBIND: _unbind,
        kinds.PING: _ping,
        kinds.PONG: _ignore,
        kinds.CANCEL: _cancel,
        kinds.GOAWAY: _ignore,  # `_maybe_end` acts on the state.
    }
    """Of the class: in each link it would be a circle, and what the link holds would wait for the collector."""

    # ---- the write gate

    def _refuse_frame(self, frame: Frame, refusal: Refusal) -> None:
        """Answer a request that is not taken at all."""
        self._host.answered(frame.opcode, int(refusal.status), done=False)
        self._send_failure(frame, refusal)

    def _send_failure(self, asked: Frame | Request, refusal: Refusal) -> None:
        self._connection.answered(asked.request_id)
        stale = isinstance(asked, Request) and asked.stale
        self._send_refusal(asked.request_id, refusal, asked.opcode, asked.operation_id, stale=stale)

    def _send_refusal(
        self, request_id: int, refusal: Refusal, opcode: int = 0, operation_id: int = 0, *, stale: bool = False
    ) -> None:
        self._send(
            encode_failure(
                request_id,
                refusal.status,
                refusal.detail,
                opcode=opcode,
                operation_id=operation_id,
                not_executed=refusal.not_executed,
                stale=self._stale(stale),
                retry_after_ms=refusal.retry_after_ms,
            )
        )

    def _stale(self, looked_up: bool) -> bool:
        """Whether the answer that is being made is to be marked; it is counted then.

        `looked_up`: whether the node was stale when it looked the record up. What has come back since does not change
        what the answer was made from.
        """
        if not looked_up and self._host.current:
            return False
        self._host.answered_stale()
        return True

    def _send(self, data: bytes) -> None:
        if self._output is not None:
            self._output.send(data, now=self._receiving)
