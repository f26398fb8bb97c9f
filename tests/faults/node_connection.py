"""One connection of a fake node: the honest conduct, and the means that faults are made of."""

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Any, cast

import msgspec
from fault_listener import reset
from fault_queue import PARTIAL, Occasion
from node_actions import ACTIONS
from node_answers import Answer, key_id_of, opcode_name

from hsm_wire import kinds
from hsm_wire.connection import Connection, agree_on
from hsm_wire.errors import BodyError, LocalProtocolError, RemoteProtocolError
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.kinds import Kind
from hsm_wire.messages import Bind, Goaway, Hello, Pong, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.states import End

if TYPE_CHECKING:
    from faulty_node import FaultyNode


class Exchange(msgspec.Struct, frozen=True):
    """A frame that arrived, and its number in the journal."""

    frame: Frame
    sequence: int


class NodeConnection(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, node: "FaultyNode", number: int, accepted: socket.socket) -> None:
        self.node = node
        self.number = number
        self.peer = ""
        self.mute = False
        """Whatever arrives from now on is thrown away."""
        self.swapping: tuple[Exchange, bytes] | None = None
        """An answer that waits for the next one, to exchange ids with it."""
        self.unanswered = 0
        self._socket = accepted
        self._wire = Connection(End.SERVER, binds=True)
        self._leaving = False
        self._last_told: tuple[int, str, str] | None = None
        self._slow = bytearray()
        self._slow_gap_s = 0.0

    # Events of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self.node.connections[self.number] = self
        self.peer = _tls_identity(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.mute = True
        self._slow.clear()
        self.node.connections.pop(self.number, None)
        self.node.journal.note("closed", connection=self.number)

    def data_received(self, data: bytes) -> None:
        if self.mute:
            return
        for frame in self._wire.receive(data):
            if not self.mute:
                self._take(frame)
        if self._wire.fault is not None and not self.mute:
            self.node.journal.note("breach", connection=self.number, detail=self._wire.fault.detail)
            self.write(self._wire.answer_to_fault())
            self.finish()
        elif self._wire.buffered and not self.mute:
            self._strike(Occasion(frozenset({PARTIAL}), self.number, self.peer), None)

    # The honest conduct

    def serve(self, exchange: Exchange, delay_s: float = 0.0, *, factor: float = 1.0) -> None:
        """Answer as a healthy node does, after the time that its work takes."""
        frame = exchange.frame
        if frame.kind == kinds.BIND:
            bind = decode_body(Bind, frame.body)
            self.node.journal.note("bound", number=bind.number, identity=bind.identity)
        loop = asyncio.get_running_loop()
        if frame.kind == kinds.REQUEST:
            delay_s += self.node.service_delay(loop.time(), factor)
        if delay_s > 0:
            loop.call_later(delay_s, self.respond, exchange)
        else:
            self.respond(exchange)

    def respond(self, exchange: Exchange, data: bytes | None = None) -> None:
        """Send the answer, and record it; frames without an answer need none."""
        if self.transport.is_closing():
            return
        if data is None:
            data = self.reply(exchange.frame)
        if exchange.frame.kind == kinds.GOAWAY:
            self._leaving = True
        if not data:
            self._leave_when_done()
            return
        if self.swapping is not None and exchange.frame.kind == kinds.REQUEST:
            (other, held), self.swapping = self.swapping, None
            self._settle(other, held)
            self._settle(exchange, data)
            data = _under_id(data, other.frame.request_id) + _under_id(held, exchange.frame.request_id)
        else:
            self._settle(exchange, data)
        self.write(data)
        self._leave_when_done()

    def reply(self, frame: Frame, *, answer: Answer | None = None, flags: int = 0, **fields: Any) -> bytes:
        """Return the right answer to a frame, empty where there is none.

        Args:
            answer: instead of the true one, for requests and HELLO.
            fields: replace fields of PONG.
        """
        if frame.kind == kinds.PING:
            return self._pong(frame, fields)
        if frame.kind == kinds.HELLO and answer is None:
            return self._welcome(frame)
        if frame.kind not in (kinds.REQUEST, kinds.HELLO):
            return b""
        answer = answer or self.node.answers.answer(frame)
        stale = int(kinds.Flag.STALE) if self.node.settings.stale_answers else 0
        return encode_frame(
            kinds.RESPONSE,
            answer.body,
            flags=flags | stale,
            request_id=frame.request_id,
            opcode=frame.opcode,
            status=answer.status,
            operation_id=frame.operation_id,
        )

    def go_away(self, reason: str = "shutting down") -> None:
        """Take no new requests; close when the last answer is out."""
        try:
            self._wire.sent(kinds.GOAWAY)
        except LocalProtocolError:
            return
        self.write(encode_frame(kinds.GOAWAY, encode_body(Goaway(reason))))
        self._leaving = True
        self._leave_when_done()

    # What faults are made of

    def write(self, data: bytes) -> None:
        """Write; behind slow bytes, everything is slow."""
        if self._slow:
            self._slow += data
        elif not self.transport.is_closing():
            self.transport.write(data)

    def drip(self, data: bytes, gap_s: float) -> None:
        """Write a byte at a time."""
        starts = not self._slow
        self._slow_gap_s = gap_s
        self._slow += data
        if starts:
            self._drop_one()

    def reset(self) -> None:
        """End with RST; what was not sent yet is lost."""
        self.mute = True
        if self._socket.fileno() >= 0:
            reset(self._socket)
        self.transport.abort()

    def finish(self) -> None:
        """End with FIN, after what was written."""
        self.mute = True
        self.transport.close()

    def stop_reading(self) -> None:
        """Leave the connection open, and take nothing from it any more."""
        self.mute = True
        self.transport.pause_reading()

    def later(self, delay_s: float, what: Any, *arguments: Any) -> None:
        """Do something in a while."""
        asyncio.get_running_loop().call_later(delay_s, what, *arguments)

    def _take(self, frame: Frame) -> None:
        if frame.kind == kinds.HELLO:
            self._greet(frame)
        key_id = key_id_of(frame) if frame.kind == kinds.REQUEST else ""
        opcode = opcode_name(frame.opcode) if frame.kind == kinds.REQUEST else ""
        occasion = Occasion(_words(frame, opcode), self.number, self.peer, key_id)
        sequence = self.node.next_sequence()
        fault = self.node.faults.maybe_take(occasion)
        if frame.kind == kinds.REQUEST:
            self.unanswered += 1
        self.node.journal.note(
            "received",
            sequence=sequence,
            connection=self.number,
            kind=Kind(frame.kind).name,
            opcode=opcode,
            operation_id=frame.operation_id,
            request_id=frame.request_id,
            principal=frame.principal,
            key_id=key_id,
            fault="" if fault is None else fault.action,
        )
        exchange = Exchange(frame, sequence)
        if fault is None:
            self.serve(exchange)
        else:
            ACTIONS[fault.action].run(self, exchange, fault.options)

    def _strike(self, occasion: Occasion, exchange: Exchange | None) -> None:
        fault = self.node.faults.maybe_take(occasion)
        if fault is not None:
            ACTIONS[fault.action].run(self, exchange, fault.options)

    def _greet(self, frame: Frame) -> None:
        try:
            self.peer = self.peer or decode_body(Hello, frame.body).name
        except BodyError as error:
            self.node.journal.note("breach", connection=self.number, detail=str(error))
        self.node.journal.note("greeted", connection=self.number, peer=self.peer)

    def _welcome(self, frame: Frame) -> bytes:
        settings = self.node.settings
        try:
            hello = decode_body(Hello, frame.body)
            own_hash = settings.configuration_hash
            welcome = agree_on(
                hello,
                settings.max_frame_bytes,
                settings.max_in_flight,
                settings.software,
                hello.configuration_hash if own_hash is None else own_hash,
            )
        except (BodyError, RemoteProtocolError) as error:
            self.node.journal.note("breach", connection=self.number, detail=str(error))
            self.later(0, self.finish)
            return b""
        self._wire.sent(kinds.WELCOME)
        self._wire.agree(welcome.max_frame_bytes)
        return encode_frame(kinds.WELCOME, encode_body(welcome))

    def _pong(self, frame: Frame, fields: dict[str, Any]) -> bytes:
        s = self.node.settings
        pong = Pong(
            self.node.boot_id,
            max(0, self.node.in_flight - s.sessions),
            s.sessions,
            s.window,
            self.node.reported_completed,
            s.generating,
            s.applied_revision,
            bytes.fromhex(s.cluster_id),
            s.epoch,
            s.store_contact,
            s.state,
            s.administrative_state,
        )
        if fields:
            pong = msgspec.structs.replace(pong, **fields)
        told = (pong.window, pong.state, pong.administrative_state)
        if told != self._last_told:
            self._last_told = told
            window, state, administrative = told
            self.node.journal.note(
                "told", connection=self.number, window=window, state=state, administrative_state=administrative
            )
        return encode_frame(kinds.PONG, encode_body(pong), request_id=frame.request_id)

    def _settle(self, exchange: Exchange, data: bytes) -> None:
        frame = exchange.frame
        status = int.from_bytes(data[22:24]) if len(data) >= 24 else 0
        if frame.kind == kinds.REQUEST:
            self._wire.answered(frame.request_id)
            self.unanswered -= 1
            self.node.completed += 1
        self.node.journal.note("answered", sequence=exchange.sequence, status=status)

    def _leave_when_done(self) -> None:
        if self._leaving and self.unanswered == 0 and not self._slow:
            self.finish()

    def _drop_one(self) -> None:
        if self.transport.is_closing() or not self._slow:
            return
        self.transport.write(bytes(self._slow[:1]))
        del self._slow[:1]
        if self._slow:
            self.later(self._slow_gap_s, self._drop_one)
        else:
            self._leave_when_done()


def _words(frame: Frame, opcode: str) -> frozenset[str]:
    words = {"any", Kind(frame.kind).name}
    if frame.kind == kinds.REQUEST:
        words.add(opcode)
        if frame.opcode not in (Opcode.CHECK, Opcode.USAGE):
            words.add("work")
    return frozenset(words)


def _under_id(data: bytes, request_id: int) -> bytes:
    return data[:8] + request_id.to_bytes(4) + data[12:]


def _tls_identity(transport: asyncio.Transport) -> str:
    connection = transport.get_extra_info("ssl_object")
    if not isinstance(connection, ssl.SSLObject):
        return ""
    names: Any = (connection.getpeercert() or {}).get("subjectAltName", ())
    return next((str(value) for kind, value in names if kind == "URI"), "")
