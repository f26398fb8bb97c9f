"""Simulated clients: they ask, wait, cancel, go away with requests in flight, and send again what was not executed."""

from typing import TYPE_CHECKING

from sim_checks import Record
from sim_engine import Pipe, Way
from sim_node import POISON_KEY
from sim_proxy import ClientEnd

from hsm_wire import kinds
from hsm_wire.connection import Connection
from hsm_wire.forms import NIL_PARAMETERS
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.messages import Hello, Sign, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import LONG
from hsm_wire.states import End
from hsm_wire.statuses import Status

if TYPE_CHECKING:
    from sim_engine import Engine
    from sim_proxy import SimProxy

_HELLO = encode_frame(kinds.HELLO, encode_body(Hello(1, 1, 1 << 20, 256, "sim-client")))
_SIGN, _STATUS = int(Opcode.SIGN), int(Opcode.STATUS)
_OPCODES = (
    [_SIGN] * 70
    + [int(Opcode.RANDOM)] * 12
    + [int(Opcode.DESCRIBE_KEY)] * 8
    + [int(Opcode.UPDATE_KEY)] * 6
    + [int(Opcode.GENERATE_KEY)] * 3
    + [_STATUS]
)
_TIMEOUTS_MS = (1, 5, 30, 200, 1_000, 2_000, 4_000, 5_000, 6_000, 8_000, 0)
_PATIENT_MS = (4_000, 5_000, 6_000, 8_000, 0)
_AGAIN = frozenset({int(Status.UNAVAILABLE), int(Status.OVERLOADED)})
_NOT_EXECUTED = int(kinds.Flag.NOT_EXECUTED)
_TOKEN = bytes(8)


def _prefix(key_id: bytes, length: int) -> bytes:
    """Return a SIGN body without its last eight bytes, where the token goes."""
    return encode_body(Sign(key_id, 1, NIL_PARAMETERS, bytes(length) + _TOKEN))[:-8]


_SMALL = [_prefix(b"good-key-%07d" % number, 24 + 40 * number) for number in range(6)]
_BULK = [_prefix(b"good-key-%07d" % number, size) for number, size in enumerate((16_400, 30_000, 90_000))]
_POISON = _prefix(POISON_KEY, 24)


class SimClient:
    """One client of an application: one connection at a time, some requests in flight."""

    def __init__(self, engine: "Engine", proxy: "SimProxy", name: str, partition: int, in_flight: int) -> None:
        rng = engine.rng
        self.engine = engine
        self.proxy = proxy
        self.name = name
        self.partition = partition
        self.in_flight = in_flight
        self.pause_s = 0.02
        self.bulk_share = 0.02
        self.cancel_share = 0.01
        self.patient = False
        """It asks with long deadlines only."""
        self.stopped = False
        self.waiting: dict[int, Record] = {}
        self._next_id = 1 if rng.random() < 0.8 else 0xFFFF_FFFF - rng.randrange(40)
        self._way = Way(engine, 0.0001, 0.0002)
        self._connection: Connection | None = None
        self._out: Pipe | None = None
        self._in: Pipe | None = None
        self._ready = False
        self._serial = 0

    def open(self) -> None:
        """Connect, say HELLO."""
        if self.stopped:
            return
        self._in = Pipe(self._way, self._arrived)
        end = ClientEnd(self.proxy, f"spiffe://sim/client/{self.name}", self.partition, self._in)
        self._out = Pipe(self._way, end.arrived)
        self._connection = Connection(End.CLIENT, binds=False)
        self._connection.sent(kinds.HELLO)
        self._out.write(_HELLO)

    def drop(self) -> None:
        """Go away with whatever is in flight; come back later."""
        if self._out is None or self._in is None or not self._ready:
            return
        self.engine.note(f"{self.name} drops its connection")
        self._ready = False
        self._in.open = False
        self._out.end()
        for record in self.waiting.values():
            record.gone = True
        self.waiting.clear()
        self._serial += 1
        self.engine.after(0.05 + 0.3 * self.engine.rng.random(), self.open)

    def stop(self) -> None:
        """Ask nothing new."""
        self.stopped = True

    # ---- asking ---------------------------------------------------------------------------------------------------

    def _ask_next(self, serial: int) -> None:
        if self.stopped or not self._ready or serial != self._serial:
            return
        rng = self.engine.rng
        opcode = _OPCODES[int(rng.random() * len(_OPCODES))]
        timeouts = _PATIENT_MS if self.patient else _TIMEOUTS_MS
        timeout_ms = timeouts[int(rng.random() * len(timeouts))]
        if opcode in LONG:
            timeout_ms = 6_000
        if self.bulk_share and rng.random() < self.bulk_share:
            opcode, body = _SIGN, _BULK[int(rng.random() * len(_BULK))]
        else:
            body = _SMALL[int(rng.random() * len(_SMALL))]
        record = self.ask(opcode, body, timeout_ms)
        if self.cancel_share and rng.random() < self.cancel_share:
            self.engine.after(rng.random() * 0.02, self._cancel, serial, record)

    def ask_poison(self) -> None:
        """Send a request that kills the node which executes it."""
        if self._ready and not self.stopped:
            self.ask(_SIGN, _POISON, 8_000).poison = True

    def ask(self, opcode: int, body: bytes, timeout_ms: int, *, again: int = 0) -> Record:
        """Send a request."""
        assert self._out is not None
        assert self._connection is not None
        request_id = self._next_id
        self._next_id = request_id + 1 if request_id < 0xFFFF_FFFF else 1
        record = self.proxy.checks.asked(self, request_id, opcode, timeout_ms)
        record.body = body
        record.again = again
        self.waiting[request_id] = record
        self._connection.sent(kinds.REQUEST)
        self._out.write(
            encode_frame(
                kinds.REQUEST,
                body + record.token,
                request_id=request_id,
                timeout_ms=timeout_ms,
                opcode=opcode,
                operation_id=int.from_bytes(record.token, "big"),
            )
        )
        return record

    def _cancel(self, serial: int, record: Record) -> None:
        if serial == self._serial and self._ready and record.request_id in self.waiting and self._out is not None:
            record.cancelled = True
            self._out.write(encode_frame(kinds.CANCEL, request_id=record.request_id))

    # ---- answers --------------------------------------------------------------------------------------------------

    def _arrived(self, data: bytes | None) -> None:
        if data is None or self._connection is None:
            return
        for frame in self._connection.receive(data):
            if frame.kind == kinds.RESPONSE:
                self._answered(frame)
            elif frame.kind == kinds.WELCOME:
                self._connection.agree(1 << 20)
                self._ready = True
                for _ in range(self.in_flight):
                    self.engine.after(self.pause_s * self.engine.rng.random(), self._ask_next, self._serial)
        if self._connection.fault is not None:
            self.proxy.checks.violated(f"the proxy broke the protocol: {self._connection.fault.detail}")

    def _answered(self, frame: Frame) -> None:
        record = self.waiting.pop(frame.request_id, None)
        if record is None:
            self.proxy.checks.violated(f"{self.name} got an answer to {frame.request_id} that it did not wait for")
            return
        self.proxy.checks.received(record, frame)
        engine = self.engine
        pause_s = self.pause_s * 2 * engine.rng.random()
        if frame.status in _AGAIN and frame.flags & _NOT_EXECUTED and record.again < 4 and not self.stopped:
            engine.after(0.02 + 0.1 * engine.rng.random(), self._again, self._serial, record)
        elif not record.poison:
            engine.after(pause_s, self._ask_next, self._serial)

    def _again(self, serial: int, record: Record) -> None:
        if serial != self._serial or not self._ready:
            return
        if self.stopped:
            return
        self.ask(record.opcode, record.body, record.timeout_ms, again=record.again + 1).poison = record.poison
