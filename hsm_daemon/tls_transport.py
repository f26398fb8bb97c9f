"""TLS between the loop's transport and a protocol: to the loop a protocol, to the protocol a transport.

Theory. The loops' own TLS keeps a read buffer of 256 KiB for each connection, and takes a dozen steps in Python for
each read. Here all connections of a loop are read into one buffer, which is empty again when the call returns; what a
read brought is delivered at once, and each write of the protocol is one write to the loop's transport. Nothing is kept
on this side of that: pausing, its limits and its buffer are the loop's transport's own.

    HANDSHAKE ---- done ----> OPEN -- close(), or the peer's close_notify --> CLOSING --+-- the peer's close_notify,
        |                      |                                                        |   its end, closing_s
        +-- peer's certificate | fault, abort(), the peer's end                         |
        |   refused            |                                                        |
        v                      v                                                        v
     REFUSING ---------------> ENDED <--------------------------------------------------+
                the peer's end, handshake_s

The protocol hears nothing before OPEN and, but for `connection_lost`, nothing after it. Who is refused is told by an
alert and has its time to read it: an end with its bytes unread would be a reset, which takes the alert away. An end
without close_notify is no `eof_received`: what came before it was whole records, and it ends the connection.
"""

import asyncio
import enum
import ssl
from collections.abc import Iterable
from typing import Final, cast

from hsm_daemon.handshake import is_refusal
from hsm_daemon.layered_transport import LayeredTransport
from hsm_daemon.read_buffer import read_buffer
from hsm_daemon.tls import TlsLimits
from hsm_daemon.tls_session import PIECE_BYTES, RECORD_BYTES, Octets, TlsSession

UNASKED_BYTES: Final = 64 << 10  # of what OpenSSL answers by itself (KeyUpdate), unread: two thousand such answers


class State(enum.Enum):
    """See the module."""

    HANDSHAKE = enum.auto()
    REFUSING = enum.auto()
    OPEN = enum.auto()
    CLOSING = enum.auto()
    ENDED = enum.auto()


_OPEN: Final = State.OPEN  # an enumeration's own look-up is slow


class TlsTransport(LayeredTransport, asyncio.BufferedProtocol):
    """See the module."""

    __slots__ = (
        "_buffer", "_fault", "_limits", "_loop", "_made", "_paused",
        "_protocol", "_session", "_state", "_timer", "shaken",
    )  # fmt: skip

    def __init__(self, protocol: asyncio.Protocol, session: TlsSession, limits: TlsLimits) -> None:
        super().__init__()
        self._loop = loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._session = session
        self._limits = limits
        self._state = State.HANDSHAKE
        self._made = False
        """The protocol knows of the connection."""
        self._buffer = read_buffer(loop)[:PIECE_BYTES]
        """What is read into. Before the peer is known it is a piece, since what comes behind a handshake is held."""
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._fault: Exception | None = None
        self.shaken: asyncio.Future[None] = loop.create_future()
        """Done after the protocol's `connection_made`; fails when there will be none."""

    # ---- to the loop: a protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._raw = cast("asyncio.Transport", transport)  # uvloop's is none by class, but by what it does
        if self._state is State.ENDED:
            self.abort()  # nobody wants it any more
            return
        self._timer = self._loop.call_later(self._limits.handshake_s, self._too_slow)
        if not self._session.server_side:
            self._shake(b"")

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Return where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read; nothing of it is left in the buffer that others use next."""
        data = self._buffer[:nbytes]
        if self._state is _OPEN:
            if self._paused:
                self._session.hold(data)
            else:
                self._receive(data)
        elif self._state is State.HANDSHAKE:
            self._shake(data)
        elif self._state is State.CLOSING:
            self._drain(data)

    def eof_received(self) -> bool:
        """End the connection."""
        if self._state is State.HANDSHAKE:
            self._fault = ConnectionResetError("the peer ended the connection in the TLS handshake")
        self._state = State.ENDED
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol, or whoever waits for the handshake; let go of everything."""
        self._state = State.ENDED
        if self._timer is not None:
            self._timer.cancel()
        fault = self._fault or exc
        protocol, self._protocol = self._protocol, _NOBODY
        self._raw = self._timer = self._fault = None
        if not self.shaken.done():
            self.shaken.set_exception(fault or ConnectionResetError("the connection ended in the TLS handshake"))
            self.shaken.exception()  # whoever waits gets it; if nobody does any more, that is no fault
        if self._made:
            protocol.connection_lost(fault)

    def pause_writing(self) -> None:
        """Have the protocol write no more."""
        if self._state is _OPEN:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Have it write on."""
        if self._state is _OPEN:
            self._protocol.resume_writing()

    # ---- to the protocol: a transport

    def write(self, data: Octets) -> None:
        """Send that; nothing after `close`."""
        raw = self._raw
        if self._state is not _OPEN or raw is None or not data:
            return
        try:
            if len(data) <= RECORD_BYTES:
                raw.write(self._session.send(data))
            else:
                raw.writelines(self._session.send_long(data))
        except ssl.SSLError as error:
            self._fail(error)

    def writelines(self, list_of_data: Iterable[Octets]) -> None:
        """Send these, in as few records as they fit into."""
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        """Say whether nothing more is sent."""
        return self._state is not _OPEN or self._raw is None or self._raw.is_closing()

    def close(self) -> None:
        """Send what was written, then close_notify; wait for the peer's, but not for long."""
        if self._state is not _OPEN or self._raw is None:
            if self._state is State.HANDSHAKE:
                self.abort()
            return
        self._state = State.CLOSING
        self._session.close()
        self._flush()
        if self._session.ended:
            self._end()
            return
        self._timer = self._loop.call_later(self._limits.closing_s, self.abort)
        if self._paused:
            self._raw.resume_reading()

    def abort(self) -> None:
        """End at once; what was not sent is lost."""
        self._state = State.ENDED
        if self._raw is not None:
            self._raw.abort()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return what is known of TLS here, and everything else of the loop's transport."""
        tls = self._session.tls
        match name:
            case "ssl_object":
                return tls
            case "sslcontext":
                return tls.context
            case "peercert":
                return tls.getpeercert()
            case "cipher":
                return tls.cipher()
            case _:
                return super().get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Deliver nothing more."""
        if self._state is _OPEN and self._raw is not None:
            self._paused = True
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Deliver again, not before the next turn of the loop."""
        if self._state is not _OPEN or self._raw is None or not self._paused:
            return
        self._paused = False
        if self._session.holds:
            self._loop.call_soon(self._deliver_held)
        self._raw.resume_reading()

    # ---- inside

    def _shake(self, data: Octets) -> None:
        try:
            done = self._session.shake(data)
        except ssl.SSLError as error:
            self._refuse(error)
            return
        self._flush()
        if not done:
            return
        self._state = _OPEN
        self._buffer = read_buffer(self._loop)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._made = True
        self._protocol.connection_made(self)
        if not self.shaken.done():
            self.shaken.set_result(None)
        if self._session.holds:
            self._deliver_held()

    def _deliver_held(self) -> None:
        if self._state is _OPEN and not self._paused:
            self._receive(b"")

    def _receive(self, data: Octets) -> None:
        session = self._session
        try:
            said = session.receive(data)
        except ssl.SSLError as error:
            self._fail(error)
            return
        if session.outgoing.pending:
            self._answer_unasked()
        if said:
            self._protocol.data_received(said)
        if session.ended and self._state is _OPEN:
            self._protocol.eof_received()  # what it returns is no matter, as `can_write_eof` says
            self.close()

    def _drain(self, data: Octets) -> None:
        """Look for the peer's close_notify in what nobody wants any more."""
        try:
            self._session.receive(data)
        except ssl.SSLError:
            self.abort()
            return
        if self._session.ended:
            self._end()

    def _answer_unasked(self) -> None:
        """Send what OpenSSL answers by itself. A peer that asks for that and does not read is given up."""
        self._flush()
        if self.get_write_buffer_size() > UNASKED_BYTES + self.get_write_buffer_limits()[1]:
            self._fault = ConnectionAbortedError("the peer asks for new keys and does not read")
            self.abort()

    def _refuse(self, error: ssl.SSLError) -> None:
        """End a handshake that failed; whose certificate was refused has time to read why."""
        self._fault = error.with_traceback(None)  # its frames would hold this connection
        self._flush()
        if self._session.server_side and is_refusal(error):
            self._state = State.REFUSING
        else:
            self._end()

    def _fail(self, error: ssl.SSLError) -> None:
        """Drop a connection that is broken; the alert says why where it still gets through."""
        self._fault = error.with_traceback(None)
        self._flush()
        self.abort()

    def _too_slow(self) -> None:
        if self._state is State.HANDSHAKE:  # else it was refused, and did not go
            self._fault = ConnectionAbortedError(f"no TLS handshake within {self._limits.handshake_s:g} s")
        self.abort()

    def _end(self) -> None:
        self._state = State.ENDED
        if self._raw is not None:
            self._raw.close()

    def _flush(self) -> None:
        unsent = self._session.outgoing.read()
        if unsent and self._raw is not None and not self._raw.is_closing():
            self._raw.write(unsent)


_NOBODY: Final = asyncio.Protocol()
"""Stands for the protocol of a connection that has ended."""
