"""The proxy of the study: the real core, which finds its nodes, draws among them, and goes on when one is lost."""

import random

import pytest

from bench.agenda import BEGIN_S, Agenda
from bench.simulated_node import SimulatedNode, Work
from bench.simulated_proxy import SimulatedProxy
from hsm_wire import kinds
from hsm_wire.frames import HEADER, Frame, encode_frame
from hsm_wire.opcodes import Opcode
from proxy.core.parties import Client
from proxy.core.settings import Settings

SIGN = int(Opcode.SIGN)


class Stand:
    def __init__(self, nodes: int = 2, cost_s: float = 0.0001) -> None:
        self.agenda = Agenda()
        rng = random.Random(1)
        self.nodes = [SimulatedNode(self.agenda, rng, f"node-{n}", Work(0.0001), 2) for n in range(nodes)]
        ways = dict.fromkeys(self.nodes, 0.001)
        self.proxy = SimulatedProxy(self.agenda, rng, "proxy-1", Settings(), ways, cost_s)
        self.answers: list[tuple[float, int]] = []
        principal = self.proxy.principals.join("spiffe://study/client/1", 1, ["use"])
        self.client = Client(self._answered, principal)
        self.agenda.run(BEGIN_S + 0.5)

    def _answered(self, raw: bytes) -> None:
        self.answers.append((self.agenda.now, HEADER.unpack_from(raw)[8]))

    def ask(self, number: int) -> None:
        raw = encode_frame(kinds.REQUEST, bytes(96), request_id=number, opcode=SIGN, operation_id=number)
        self.proxy.ask(self.client, Frame(kinds.REQUEST, 0, number, 0, 0, SIGN, 0, number, raw))


def test_it_finds_its_nodes_by_itself() -> None:
    stand = Stand()
    assert len(stand.proxy.table.rotation) == 2
    assert len(stand.proxy.table.links) == 4  # a link and a bulk link each


def test_a_request_takes_the_way_the_node_and_the_proxy_twice() -> None:
    stand = Stand()
    stand.ask(1)
    stand.agenda.run(stand.agenda.now + 0.1)
    ((answered_at, status),) = stand.answers
    assert status == 0
    assert answered_at - BEGIN_S - 0.5 == pytest.approx(0.002 + 0.0001 + 0.0001, abs=0.0001)


def test_requests_of_a_lost_node_are_answered_by_the_other_one() -> None:
    stand = Stand()
    for number in range(1, 101):
        stand.ask(number)
    stand.agenda.after(0.003, stand.nodes[0].crash)
    stand.agenda.run(stand.agenda.now + 3.0)
    assert [status for _, status in stand.answers] == [0] * 100
    assert stand.proxy.counters.failovers > 0
    assert [node.name for node in stand.proxy.table.rotation] == ["node-1"]
