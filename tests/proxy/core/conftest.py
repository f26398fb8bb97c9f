"""A small world for the core's tests: nodes, links and clients that keep what is sent to them, and a clock."""

import random

import pytest

from hsm_wire import kinds
from hsm_wire.frames import Frame, FrameSplitter, encode_frame
from hsm_wire.messages import Pong
from hsm_wire.statuses import Status
from proxy.core.balancer import Balancer
from proxy.core.counters import Counters
from proxy.core.dispatcher import Dispatcher
from proxy.core.node_table import Node, NodeTable
from proxy.core.parties import Client, Link, Request
from proxy.core.principals import Principals
from proxy.core.settings import Limits, RetrySettings, Settings

SIGN = 0x0201


def frame_of(raw: bytes) -> Frame:
    (frame,) = FrameSplitter(1 << 20).split(raw)
    return frame


class Peer:
    """Keeps the frames that were sent to it."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def sink(self, raw: bytes) -> None:
        self.frames.append(frame_of(raw))

    def of(self, kind: int) -> list[Frame]:
        return [frame for frame in self.frames if frame.kind == kind]


class World:
    """A dispatcher with everything around it."""

    def __init__(self, *, seed: int = 1, weights: tuple[int, ...] = (1, 1, 1), window: int = 64, **limits: object):
        self.now = 100.0
        self.window = window
        retry = {name: limits.pop(name) for name in list(limits) if name in RetrySettings.__struct_fields__}
        self.settings = Settings(Limits(**limits), RetrySettings(**retry))
        self.nodes = [Node(f"n{i}", "s", weight, [("a", f"h{i}:1")]) for i, weight in enumerate(weights)]
        self.table = NodeTable(self.nodes, self.settings, self.now)
        self.counters = Counters()
        balancer = Balancer(self.table, random.Random(seed))
        self.dispatcher = Dispatcher(
            self.table,
            balancer,
            self.settings,
            self.counters,
            self.now,
            lambda frame, now: encode_frame(kinds.RESPONSE, b"\x90", request_id=frame.request_id, opcode=frame.opcode),
        )
        self.principals = Principals()
        self.peers: dict[Node, Peer] = {}
        self.links: dict[Node, Link] = {}
        for node in self.nodes:
            self.bring_up(node)

    def bring_up(self, node: Node) -> Link:
        peer = self.peers[node] = Peer()
        link = self.links[node] = Link(node.paths[0], peer.sink)
        self.table.report(link, Pong(b"b", 0, 1, self.window, 0), self.now)
        node.paths[0].link = link
        self.table.path_up(link, self.now)
        return link

    def client(self, name: str = "c", **settings: object) -> tuple[Client, Peer]:
        peer = Peer()
        principal = self.principals.join(f"spiffe://t/client/{name}", 1, ["use"])
        return Client(peer.sink, principal, **settings), peer

    def ask(self, client: Client, request_id: int, *, timeout_ms: int = 0, opcode: int = SIGN, body: bytes = b"\x90"):
        frame = frame_of(
            encode_frame(
                kinds.REQUEST, body, request_id=request_id, timeout_ms=timeout_ms, opcode=opcode, operation_id=7
            )
        )
        client.wire_ids.add(request_id)
        self.dispatcher.request(client, frame, self.now)

    def holders(self) -> list[Node]:
        """The nodes that hold a request which is not done."""
        return [n for n, link in self.links.items() if any(isinstance(r, Request) for r in link.in_flight.values())]

    def answer(self, node: Node, link_id: int | None = None, status: Status = Status.OK, flags: int = 0) -> None:
        link = self.links[node]
        if link_id is None:
            link_id = next(iter(link.in_flight))
        raw = encode_frame(kinds.RESPONSE, b"\x90", request_id=link_id, opcode=SIGN, status=int(status), flags=flags)
        self.dispatcher.response(link, frame_of(raw), self.now)

    def lose(self, node: Node, *, abnormal: bool = True) -> None:
        node.paths[0].link = None
        self.table.path_down(node.paths[0], "gone", self.now)
        self.dispatcher.link_lost(self.links[node], node_lost=True, abnormal=abnormal, now=self.now)

    def advance(self, seconds: float) -> None:
        """Let time pass in the beat of the ticker."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.025)
            self.dispatcher.tick(self.now)


@pytest.fixture
def make_world():
    return World


@pytest.fixture
def world():
    return World()


@pytest.fixture(scope="session")
def make_world_class():
    """The same for Hypothesis, which may not use a fixture that lives as long as one example."""
    return World
