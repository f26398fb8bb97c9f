"""Each bug of the core that the simulation found, as small as it gets. The table is docs/bugs-found.md."""

import random

import pytest

from hsm_wire import kinds
from hsm_wire.connection import encode_failure
from hsm_wire.frames import Frame, FrameSplitter, encode_frame
from hsm_wire.messages import Pong
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from proxy.core.checks.progress import Progress, oldest_ordinary
from proxy.core.counters import Counters
from proxy.core.nodes.node_table import Node, NodeTable
from proxy.core.parties import Client, Link, Loss, Request
from proxy.core.principals import Principals
from proxy.core.requests.balancer import Balancer
from proxy.core.requests.dispatcher import Dispatcher
from proxy.core.settings import RetrySettings, Settings

SIGN, GENERATE = int(Opcode.SIGN), int(Opcode.GENERATE_KEY)


def frame_of(raw: bytes) -> Frame:
    (frame,) = FrameSplitter(1 << 20).split(raw)
    return frame


class Bench:
    """A dispatcher, some nodes of one path each, one client."""

    def __init__(self, nodes: int, settings: Settings | None = None) -> None:
        self.now = 100.0
        self.nodes = [Node(f"n{number}", "s", 1, [("isp", "h:1")]) for number in range(nodes)]
        settings = settings or Settings()
        self.table = NodeTable(self.nodes, settings, self.now)
        balancer = Balancer(self.table, random.Random(1))
        self.core = Dispatcher(self.table, balancer, settings, Counters(), self.now, lambda frame, now, who: b"")
        self.answers: dict[int, Frame] = {}
        principal = Principals().join("spiffe://t/client/c", 1, ["use"])
        self.client = Client(self._take, principal)

    def _take(self, raw: bytes) -> None:
        frame = frame_of(raw)
        self.answers[frame.request_id] = frame

    def up(self, node: Node) -> None:
        link = Link(node.paths[0], lambda raw: None)
        self.table.report(link, Pong(b"b", 0, 1, 64, 0), self.now)
        self.table.path_up(link, self.now)

    def down(self, node: Node) -> None:
        link = node.paths[0].link
        assert link is not None
        node.paths[0].link = None
        self.table.path_down(node.paths[0], "gone", self.now)
        self.core.link_lost(link, node_lost=True, abnormal=True, now=self.now)

    def ask(self, request_id: int, opcode: int = SIGN, timeout_ms: int = 8_000) -> Request:
        raw = encode_frame(kinds.REQUEST, b"\x90", request_id=request_id, opcode=opcode, timeout_ms=timeout_ms)
        self.core.request(self.client, frame_of(raw), self.now)
        return self.client.in_flight[request_id]

    def answer(self, request: Request, status: Status = Status.OK, *, not_executed: bool = False) -> None:
        raw = encode_failure(request.link_id, status, "", opcode=request.frame.opcode, not_executed=not_executed)
        assert request.link is not None
        self.core.response(request.link, frame_of(raw), self.now)

    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += 0.025
            self.core.tick(self.now)


def test_signatures_of_a_lost_node_do_not_wait_behind_its_key_generations() -> None:
    bench = Bench(2)
    lost, other = bench.nodes
    bench.up(lost)
    generations = [bench.ask(number, GENERATE) for number in range(1, 21)]
    signature = bench.ask(99)
    bench.up(other)
    bench.down(lost)
    bench.advance(0.1)
    assert signature.link is not None
    assert signature.link.node is other, "the one suspect that a node gets at a time was a key generation"
    bench.answer(signature)
    bench.advance(0.1)
    assert all(request.link is not None for request in generations), "and they go on when no suspect waits"
    assert other.suspects == 0


def test_a_key_generation_beside_a_suspect_is_not_condemned_with_it() -> None:
    bench = Bench(3)
    first, second, third = bench.nodes
    bench.up(first)
    generation = bench.ask(1, GENERATE)
    bench.up(second)
    bench.down(first)
    bench.advance(1.0)  # so long ago that it is no reason to acquit
    assert generation.link is not None
    poison = bench.ask(2)
    poison.losses, second.suspects = (Loss.CRASH,), 1
    bench.up(third)
    bench.down(second)
    bench.advance(1.0)
    assert bench.answers[2].status == Status.POISON
    assert 1 not in bench.answers
    assert generation.link is not None
    assert generation.link.node is third


@pytest.mark.parametrize("attempts", [2, 3])
def test_an_acquitted_request_has_no_more_attempts_than_another_one(attempts: int) -> None:
    bench = Bench(4, Settings(retry=RetrySettings(attempts=attempts)))
    bench.up(bench.nodes[0])
    request = bench.ask(1)
    sent_to = [bench.nodes[0]]
    while 1 not in bench.answers and len(sent_to) < 6:
        node = request.link.node if request.link is not None else sent_to[-1]
        spare = bench.nodes[(bench.nodes.index(node) + 1) % 4]
        bench.up(spare)
        bench.core.failover.poison.node_lost(bench.nodes[3], bench.now)  # another node in the same moment: no verdict
        bench.down(node)
        bench.advance(0.4)
        if request.link is not None:
            sent_to.append(request.link.node)
    assert len(sent_to) == attempts
    assert bench.answers[1].status == Status.UNAVAILABLE
    assert not bench.answers[1].flags, "nodes had it: it may have been executed"


@pytest.mark.parametrize("status", [Status.TIMEOUT, Status.NOT_CURRENT])
def test_not_executed_is_not_passed_on_for_a_request_that_another_node_had(status: Status) -> None:
    bench = Bench(2)
    lost, other = bench.nodes
    bench.up(lost)
    request = bench.ask(1)
    bench.up(other)
    bench.down(lost)
    assert request.link is not None
    assert request.link.node is other
    bench.answer(request, status, not_executed=True)
    assert bench.answers[1].status == status
    assert bench.answers[1].flags == 0
    assert bench.answers[1].raw[8:12] == (1).to_bytes(4, "big")


def test_not_executed_is_passed_on_where_it_is_the_whole_truth() -> None:
    bench = Bench(1)
    bench.up(bench.nodes[0])
    bench.answer(bench.ask(1), Status.NOT_CURRENT, not_executed=True)
    assert bench.answers[1].flags == kinds.Flag.NOT_EXECUTED


def test_a_blocked_node_shows_also_where_every_deadline_is_short() -> None:
    bench = Bench(1)
    (node,) = bench.nodes
    bench.up(node)
    progress = Progress()
    seen = []
    for number in range(1, 10):  # each is answered TIMEOUT after 0.2 s; the node works on all of them and ends none
        bench.ask(number, timeout_ms=200)
        bench.advance(0.25)
        seen.append(progress.stands_still(0, oldest_ordinary(node), bench.core.settings, bench.now))
    assert any(seen), "each request alone is younger than the rule wants"
