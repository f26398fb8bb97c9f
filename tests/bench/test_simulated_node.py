"""The node of the study: it answers after the time that was measured, and names the window of the real one."""

import random

import pytest

from bench.agenda import BEGIN_S, Agenda
from bench.simulated_node import FEWEST, SimulatedNode, Work
from hsm_wire import kinds
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.messages import Pong, decode_body
from hsm_wire.opcodes import Opcode

DEAR = Work(0.0001, 0.001)


class Wires:
    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.ended = False

    def deliver(self, frame: Frame) -> None:
        self.frames.append(frame)

    def cut(self) -> None:
        self.ended = True


def node_with(work: Work, sessions: int = 2) -> tuple[Agenda, SimulatedNode, Wires]:
    agenda = Agenda()
    node, wire = SimulatedNode(agenda, random.Random(1), "node-1", work, sessions), Wires()
    node.wires[wire] = "proxy-1"
    return agenda, node, wire


def request(number: int, opcode: int = Opcode.SIGN) -> bytes:
    return encode_frame(kinds.REQUEST, b"", request_id=number, opcode=opcode, operation_id=number)


def test_requests_are_answered_under_their_ids_once_there_was_time_for_them() -> None:
    agenda, node, wire = node_with(DEAR)
    for number in range(1, 101):
        node.receive(wire, request(number))
    agenda.run(BEGIN_S + FEWEST * DEAR.session_s)
    assert wire.frames == []
    agenda.run(BEGIN_S + 1.0)
    assert sorted(frame.request_id for frame in wire.frames) == list(range(1, 101))
    assert node.sessions_at_work.busy_s == pytest.approx(0.1, rel=0.2)
    assert node.loop.busy_s == pytest.approx(0.01)


def test_a_window_is_whole_at_first_and_follows_from_what_was_measured_later() -> None:
    agenda, node, wire = node_with(DEAR)
    ping = encode_frame(kinds.PING, request_id=7)
    node.receive(wire, ping)
    agenda.run(BEGIN_S + 0.01)
    for number in range(1, 201):
        node.receive(wire, request(number))
    agenda.run(BEGIN_S + 1.0)
    node.receive(wire, ping)
    agenda.run(BEGIN_S + 1.1)
    first, last = (decode_body(Pong, frame.body).window for frame in wire.frames if frame.kind == kinds.PONG)
    assert first == 256
    assert 10 <= last <= 14  # 2 x (1 + 5 ms / 1 ms)


def test_a_node_that_is_lost_answers_nothing_and_ends_its_connections() -> None:
    agenda, node, wire = node_with(DEAR)
    node.receive(wire, request(1))
    node.crash()
    node.receive(wire, request(2))
    agenda.run(BEGIN_S + 1.0)
    assert wire.frames == []
    assert wire.ended


def test_a_node_does_as_many_a_second_as_its_loop_and_its_sessions_can() -> None:
    assert DEAR.most_per_s(2) == pytest.approx(2_000)
    assert DEAR.most_per_s(100) == pytest.approx(10_000)
    assert Work(0.0001).most_per_s(2) == pytest.approx(10_000)
