"""One connection to a proxy: many requests in flight, answers by id, one coarse sweep for deadlines.

Per request there is a frame, a future and a dictionary entry: no task, no timer. Writes are collected and flushed
once per loop turn. Also the low-level way in for load generators: `open`, `request`, `close`.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from hsm_client.config import ProxyAddress
from hsm_client.errors import ClusterUnreachable, HsmError, make_error
from hsm_client.in_flight import InFlight
from hsm_client.silence import Silence, Verdict
from hsm_client.sockets import Sockets
from hsm_client.tls import TlsIdentity
from hsm_client.tls_faults import tls_fault
from hsm_wire import kinds, limits
from hsm_wire.connection import Connection as WireConnection
from hsm_wire.errors import BodyError
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.messages import EMPTY_BODY, Failure, Goaway, Hello, Pong, Welcome, decode_body, encode_body
from hsm_wire.states import End
from hsm_wire.statuses import Status

SWEEP_S: Final = 0.05
"""How often deadlines are looked at: a time-out may be late by this."""
GRACE_S: Final = 1.0
"""How much longer than the request's time the answer is waited for: the proxy's TIMEOUT says why, ours cannot."""
CLOSE_S: Final = 1.0
"""Longest wait for a connection to close in order."""
NAME: Final = "redoubt-client"
_HELLO: Final = encode_frame(
    kinds.HELLO,
    encode_body(Hello(1, limits.PROTOCOL_VERSION, limits.DEFAULT_MAX_FRAME_BYTES, limits.DEFAULT_MAX_IN_FLIGHT, NAME)),
)


class ConnectionLost(Exception):  # noqa: N818 - says what happened, as ConnectionResetError does not
    """The connection ended with requests in flight; whether they ran is unknown, sending them again is safe."""


class ConnectionFull(Exception):  # noqa: N818 - not an error of anybody: wait or take another one
    """As many requests are in flight as were agreed on, or the connection takes no new ones."""


class Connection(asyncio.Protocol):
    """See the module. Not thread-safe: it belongs to its event loop."""

    def __init__(self, address: ProxyAddress, identity: TlsIdentity | None) -> None:
        self.address = address
        self.max_frame_bytes = limits.GREETING_MAX_FRAME_BYTES
        self.max_in_flight = 0
        self.proxy_name = ""
        self.proxy_certificate: bytes | None = None
        """In DER; None without TLS."""
        self.configuration_hash = ""
        """Of the cluster file that the proxy runs with, as its greeting says."""
        self.on_change: Callable[[Connection], None] | None = None
        """Called when the connection can take a request again, takes no more, or is lost."""
        self._identity = identity
        self._loop = asyncio.get_running_loop()
        self._wire = WireConnection(End.CLIENT, binds=False)
        self._transport: asyncio.Transport | None = None
        self._welcomed: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._pending = InFlight()
        self._out: list[bytes] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._silence = Silence()
        self._sweep_due = 0.0
        self._leaving = False
        self._fault: HsmError | None = None

    @classmethod
    async def open(
        cls,
        address: ProxyAddress,
        identity: TlsIdentity | None = None,
        *,
        timeout_s: float = 5.0,
        sockets: Sockets | None = None,
    ) -> "Connection":
        """Connect, check who the proxy is, and greet; `sockets` knows the socket from its beginning.

        Raises:
            ClusterUnreachable: it cannot be reached or refuses us; the text says why.
        """
        loop = asyncio.get_running_loop()
        connection = cls(address, identity)
        context, name = (identity.context, address.host) if identity is not None else (None, None)
        try:
            async with asyncio.timeout(timeout_s):
                connected = await (sockets or Sockets()).connect(address)
                await loop.create_connection(lambda: connection, sock=connected, ssl=context, server_hostname=name)
                await connection._welcomed
        except TimeoutError:
            connection.abort()
            raise ClusterUnreachable(f"proxy {address} did not answer within {timeout_s:g} s") from None
        except (OSError, UnicodeError, ConnectionLost) as error:  # UnicodeError: a host name that IDNA refuses
            connection.abort()
            if (fault := tls_fault(address, error)) is not None:
                raise fault from None
            raise ClusterUnreachable(f"proxy {address} cannot be reached: {_reason(error)}") from None
        except BaseException:
            connection.abort()
            raise
        return connection

    @property
    def in_flight(self) -> int:
        """Requests without an answer, those included whose time has run out here."""
        return len(self._pending)

    @property
    def usable(self) -> bool:
        """Whether it takes new requests (if not full)."""
        return not (self._leaving or self.lost.done()) and self.max_in_flight > 0

    @property
    def has_room(self) -> bool:
        """Whether a request may be sent now."""
        return self.usable and len(self._pending) < self.max_in_flight

    @property
    def room(self) -> int:
        """How many requests may be sent now."""
        return max(0, self.max_in_flight - len(self._pending)) if self.usable else 0

    def send(
        self, opcode: int, body: bytes, *, timeout_s: float, operation_id: int = 0, flags: int = 0
    ) -> "asyncio.Future[Frame]":
        """Send a request; the future has its RESPONSE frame, whatever the status.

        It raises Timeout GRACE_S after the deadline and ConnectionLost when the connection ends.

        Raises:
            ConnectionFull: no request can be sent now.
            HsmError: the body is larger than the proxy takes.
        """
        if not self.has_room:
            raise ConnectionFull
        if len(body) + limits.MIN_LENGTH > self.max_frame_bytes:
            raise make_error(
                Status.TOO_LARGE,
                f"the request has {len(body)} bytes, the proxy takes {self.max_frame_bytes - limits.MIN_LENGTH}; "
                "send less at a time; of data to sign, a digest",
                operation_id,
            )
        loop = self._loop
        now = loop.time()
        future: asyncio.Future[Frame] = loop.create_future()
        if not self._pending:
            self._silence.broken(now)
        request_id = self._pending.add(future, now + timeout_s + GRACE_S, opcode, operation_id)
        timeout_ms = min(max(1, int(timeout_s * 1000)), limits.MAX_TIMEOUT_MS)
        self._write(
            encode_frame(
                kinds.REQUEST,
                body,
                flags=flags,
                request_id=request_id,
                timeout_ms=timeout_ms,
                opcode=opcode,
                operation_id=operation_id,
            )
        )
        if self._sweeper is None:
            self._arm(now)
        return future

    async def request(
        self, opcode: int, body: bytes = EMPTY_BODY, *, timeout_s: float = 10.0, operation_id: int = 0
    ) -> Frame:
        """Send a request and return its RESPONSE frame, whatever the status; raises as `send`."""
        return await self.answer(self.send(opcode, body, timeout_s=timeout_s, operation_id=operation_id))

    async def answer(self, future: "asyncio.Future[Frame]") -> Frame:
        """Wait for what `send` returned; who is cancelled meanwhile cancels the request too."""
        try:
            return await future
        except asyncio.CancelledError:
            self._cancel(future)
            raise

    async def close(self) -> None:
        """Say GOAWAY and close; requests in flight end with ConnectionLost."""
        transport = self._transport
        if transport is not None and not self.lost.done():
            if self.usable:
                self._leaving = True
                self._wire.sent(kinds.GOAWAY)
                self._write(encode_frame(kinds.GOAWAY, encode_body(Goaway("closed"))))
            self._flush()
            transport.close()
            await asyncio.wait([self.lost], timeout=CLOSE_S)
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()
        self._end(ConnectionLost("closed"))

    # ---- asyncio.Protocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Check the proxy's identity, then greet."""
        transport = cast(asyncio.Transport, transport)  # uvloop's own do not derive from it
        self._transport = transport
        if self._identity is not None:
            tls = transport.get_extra_info("ssl_object")
            self.proxy_certificate = tls.getpeercert(binary_form=True)
            fault = self._identity.proxy_fault(self.proxy_certificate)
            if fault is not None:
                self._refuse(ClusterUnreachable(f"{self.address} is not our proxy: {fault}; check client.toml"))
                return
        self._wire.sent(kinds.HELLO)
        transport.write(_HELLO)

    def data_received(self, data: bytes) -> None:
        """Take bytes; every legal frame is acted on."""
        self._silence.broken(self._loop.time())
        for frame in self._wire.receive(data):
            if frame.kind == kinds.RESPONSE:
                self._answer(frame)
            else:
                self._control(frame)
        if self._wire.fault is not None:
            self._refuse(make_error(Status.UNAVAILABLE, f"proxy {self.address} broke the protocol"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Everything in flight is lost."""
        # In TLS 1.3 the other end refuses our certificate only after the handshake.
        self._fault = self._fault or tls_fault(self.address, exc)
        self._end(ConnectionLost(_reason(exc) if exc is not None else "the proxy closed the connection"))
        self._transport = None  # Cuts the circle: TLS buffers do not wait for the garbage collector.

    # ---- inside -----------------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        transport = self._transport
        if self._out and transport is not None and not transport.is_closing():
            transport.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
        self._out.clear()

    def _answer(self, frame: Frame) -> None:
        pending = self._pending.pop(frame.request_id, None)
        if pending is None:
            if frame.request_id == limits.CONNECTION_REQUEST_ID:
                detail = _detail(frame)
                self._refuse(make_error(frame.status, f"proxy {self.address} refused the connection: {detail}"))
            return
        if not pending.fits(frame):
            self._pending[frame.request_id] = pending
            detail = "it answered a request with the answer to another one"
            self._refuse(make_error(Status.UNAVAILABLE, f"proxy {self.address} broke the protocol: {detail}"))
            return
        if not pending.future.done():
            pending.future.set_result(frame)
        if len(self._pending) == self.max_in_flight - 1:
            self._changed()

    def _control(self, frame: Frame) -> None:
        if frame.kind == kinds.WELCOME:
            try:
                welcome = decode_body(Welcome, frame.body)
            except BodyError as error:
                self._refuse(ClusterUnreachable(f"proxy {self.address} greets wrongly: {error}"))
                return
            self._wire.agree(limits.DEFAULT_MAX_FRAME_BYTES)
            self.max_frame_bytes = welcome.max_frame_bytes
            self.max_in_flight = min(welcome.max_in_flight, limits.DEFAULT_MAX_IN_FLIGHT)
            self.proxy_name = welcome.name
            self.configuration_hash = welcome.configuration_hash
            if not self._welcomed.done():
                self._welcomed.set_result(None)
        elif frame.kind == kinds.PING:
            pong = Pong(b"", 0, 0, 0, 0)
            self._write(encode_frame(kinds.PONG, encode_body(pong), request_id=frame.request_id))
        elif frame.kind == kinds.GOAWAY:
            self._leaving = True
            self._changed()

    def _sweep(self) -> None:
        self._sweeper = None
        if not self._pending:
            return
        now = self._loop.time()
        self._pending.expire(now)
        verdict = self._silence.look(now, now - self._sweep_due)
        if verdict is Verdict.LOST:
            self._refuse(None)
            return
        if verdict is Verdict.PING:
            self._write(encode_frame(kinds.PING, b""))
        self._arm(now)

    def _arm(self, now: float) -> None:
        self._sweep_due = now + SWEEP_S
        self._sweeper = self._loop.call_at(self._sweep_due, self._sweep)

    def _cancel(self, future: "asyncio.Future[Frame]") -> None:
        """Send CANCEL for the request of that future; its entry stays until the one answer comes, which is dropped."""
        request_id = self._pending.maybe_id(future)
        if request_id is not None:
            self._write(encode_frame(kinds.CANCEL, b"", request_id=request_id))

    def _refuse(self, fault: HsmError | None) -> None:
        self._fault = fault
        if self._transport is not None:
            self._transport.abort()
        self._end(ConnectionLost("the proxy fell silent" if fault is None else fault.detail))

    def _end(self, error: ConnectionLost) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        if self.lost.done():
            return
        self.lost.set_result(None)
        if not self._welcomed.done():
            self._welcomed.set_exception(self._fault or error)
            self._welcomed.exception()  # Marks it as seen where nobody waits any more.
        self._pending.expire(self._loop.time() + GRACE_S)  # After the deadline it is the answer that did not come.
        self._pending.fail(error)
        self._changed()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change(self)


def _detail(frame: Frame) -> str:
    try:
        return decode_body(Failure, frame.body).detail
    except BodyError:
        return f"status {frame.status:#06x}"


def _reason(error: BaseException) -> str:
    text = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
    return str(text) or type(error).__name__
