"""A node in the study of scale: an event loop and sessions at which requests queue, before the window of the real node.

No crypto and no sockets: a request takes the time that was measured for it, varied at random, and is answered.
"""

import random
from typing import Final, NamedTuple, Protocol

from bench.agenda import Agenda, Station
from hsm_daemon.stall import StallGuard
from hsm_node.core.limits import DEFAULTS
from hsm_node.core.window import Window
from hsm_wire import kinds
from hsm_wire.frames import HEADER, Frame, encode_frame
from hsm_wire.messages import CheckResult, Pong, encode_body
from hsm_wire.opcodes import Opcode

_KIND_AT: Final = 5
_CHECK: Final = int(Opcode.CHECK)
_CHECKED: Final = encode_body(CheckResult(bytes(64), bytes(65)))
_BODY: Final = bytes(96)
FEWEST: Final = 0.5
"""Least part of the mean time that a request takes; the most is as far above it."""


class Work(NamedTuple):
    """What a request takes of a node."""

    loop_s: float
    """Of the event loop, of which there is one."""
    session_s: float = 0.0
    """Of a session; 0: the loop does it all."""

    def most_per_s(self, sessions: int) -> float:
        """Return how many a node can do in a second, with a core for each session and one for its loop."""
        loop = 1.0 / self.loop_s
        return min(loop, sessions / self.session_s) if self.session_s else loop


class Wire(Protocol):
    """A node's end of a connection."""

    def deliver(self, frame: Frame) -> None:
        """Send a frame to the proxy."""

    def cut(self) -> None:
        """End at once: the node has gone."""


class SimulatedNode:
    """See the module."""

    def __init__(self, agenda: Agenda, rng: random.Random, name: str, work: Work, sessions: int) -> None:
        self.name = name
        self.work = work
        self.sessions = sessions
        self.slow = 1.0
        """Factor of the time that a request takes in its session, or where it has none in the loop."""
        self.alive = True
        self.answered = 0
        self.loop = Station()
        self.sessions_at_work = Station(sessions)
        self.wires: dict[Wire, str] = {}
        """And whose they are: a proxy counts once, however many it has."""
        self._agenda = agenda
        self._random = rng.random
        self._window = Window(sessions, DEFAULTS)
        self._boot_id = rng.randbytes(16)
        self._beat_s = StallGuard(DEFAULTS.stall_s).beat_every_s
        agenda.after(self._beat_s, self._beat)

    def crash(self) -> None:
        """End at once, with everything that is in hand."""
        self.alive = False
        wires, self.wires = self.wires, {}
        for wire in wires:
            wire.cut()

    def receive(self, wire: Wire, raw: bytes) -> None:
        """Take a frame of a proxy."""
        if not self.alive:
            return
        kind = raw[_KIND_AT]
        if kind == kinds.REQUEST:
            self._request(wire, raw)
        elif kind == kinds.PING:
            self._agenda.at(self.loop.done_at(self._agenda.now, 0.0), self._pong, wire, raw)

    def _request(self, wire: Wire, raw: bytes) -> None:
        work = self.work
        varied = FEWEST + self._random()
        if work.session_s:
            turned = self.loop.done_at(self._agenda.now, work.loop_s)
            took_s = work.session_s * varied * self.slow
            done = self.sessions_at_work.done_at(turned, took_s)
        else:
            took_s = work.loop_s * varied * self.slow
            done = self.loop.done_at(self._agenda.now, took_s)
        self._agenda.at(done, self._answer, wire, raw, took_s)

    def _answer(self, wire: Wire, raw: bytes, took_s: float) -> None:
        if not self.alive:
            return
        _, _, _, _, request_id, _, _, opcode, _, operation_id = HEADER.unpack_from(raw)
        self._window.served(took_s)
        self.answered += 1
        body = _CHECKED if opcode == _CHECK else _BODY
        answer = encode_frame(kinds.RESPONSE, body, request_id=request_id, opcode=opcode, operation_id=operation_id)
        wire.deliver(Frame(kinds.RESPONSE, 0, request_id, 0, 0, opcode, 0, operation_id, answer))

    def _pong(self, wire: Wire, raw: bytes) -> None:
        request_id = HEADER.unpack_from(raw)[4]
        proxies = len(set(self.wires.values()))
        pong = Pong(self._boot_id, 0, self.sessions, self._window.advertised(proxies), self.answered)
        answer = encode_frame(kinds.PONG, encode_body(pong), request_id=request_id)
        wire.deliver(Frame(kinds.PONG, 0, request_id, 0, 0, 0, 0, 0, answer))

    def _beat(self) -> None:
        self._window.turned(self.loop.busy_s, self.answered)
        self._agenda.after(self._beat_s, self._beat)
