"""A small world for the core's tests: nodes, links and clients that keep what is sent to them, and a clock."""

import random

import pytest

from hsm_wire import kinds
from hsm_wire.frames import Frame, FrameSplitter, encode_frame
from hsm_wire.messages import CheckResult, Pong, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from proxy.core.checks.supervisor import Supervisor
from proxy.core.counters import Counters
from proxy.core.nodes.node_table import Node, NodeTable
from proxy.core.parties import Client, Link, Owed, Request
from proxy.core.principals import Principals
from proxy.core.requests.balancer import Balancer
from proxy.core.requests.dispatcher import Dispatcher
from proxy.core.settings import BalancingSettings, EjectionSettings, HealthSettings, Limits, RetrySettings, Settings

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

    def __init__(
        self,
        *,
        seed: int = 1,
        weights: tuple[int, ...] = (1, 1, 1),
        window: int = 64,
        uplinks: str = "a",
        sites: str = "sss",
        **more: object,
    ):
        self.now = 100.0
        self.window = window
        forms = (Limits, RetrySettings, HealthSettings, EjectionSettings, BalancingSettings)
        self.settings = Settings(
            *[form(**{k: v for k, v in more.items() if k in form.__struct_fields__}) for form in forms]
        )
        self.nodes = [
            Node(f"n{i}", sites[i % len(sites)], weight, [(uplink, f"h{i}:{uplink}") for uplink in uplinks])
            for i, weight in enumerate(weights)
        ]
        self.table = NodeTable(self.nodes, self.settings, self.now)
        self.counters = Counters()
        balancer = Balancer(self.table, random.Random(seed))
        self.dispatcher = Dispatcher(
            self.table,
            balancer,
            self.settings,
            self.counters,
            self.now,
            lambda frame, now, who: encode_frame(
                kinds.RESPONSE, b"\x90", request_id=frame.request_id, opcode=frame.opcode
            ),
        )
        self.principals = Principals()
        self.peers: dict[Node, Peer] = {}
        self.links: dict[Node, Link] = {}
        self.start()

    def start(self) -> None:
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

    def ask(self, client: Client, request_id: int, *, opcode: int = SIGN, body: bytes = b"\x90", **more: int):
        frame = frame_of(
            encode_frame(kinds.REQUEST, body, request_id=request_id, opcode=opcode, operation_id=7, **more)
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
        entry = link.in_flight.get(link_id)
        asked = entry.request.frame if isinstance(entry, Owed) else getattr(entry, "frame", None)
        raw = encode_frame(
            kinds.RESPONSE,
            b"\x90",
            request_id=link_id,
            opcode=SIGN if asked is None else asked.opcode,
            operation_id=0 if asked is None else asked.operation_id,
            status=int(status),
            flags=flags,
        )
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


class Machine:
    """How one node behaves in a `Watched` world."""

    def __init__(self) -> None:
        self.alive = True  # it answers PING
        self.works = True  # it answers CHECK
        self.reachable = True
        self.cut: set[object] = set()  # paths that swallow everything
        self.boot_id = b"boot-1"
        self.public_key = b"\x04" * 65
        self.wrong = False
        self.check_status = Status.OK
        self.completed = 0
        self.state = "up"
        self.administrative = "ready"
        self.window = 64
        self.store: dict[str, object] = {}  # what it says of its store


class FakeNotary:
    """A signature is right if it begins with what its challenge begins with."""

    def __init__(self) -> None:
        self.asked = 0

    def challenge(self) -> bytes:
        self.asked += 1
        return self.asked.to_bytes(4, "big") * 8

    def verifies(self, public_key: bytes, challenge: bytes, signature: bytes) -> bool:
        return signature == challenge + challenge


class Middle:
    """Chance that varies no interval."""

    def random(self) -> float:
        return 0.5


class Watched(World):
    """A world whose nodes are watched by a supervisor, and answer its questions in the next beat."""

    def start(self) -> None:
        self.machines = {node: Machine() for node in self.nodes}
        self.asked_for: list[tuple[object, bool]] = []
        self.frames: list[tuple[Link, Frame]] = []
        self.closed: list[tuple[Link, str]] = []
        self.every: list[tuple[Link, Frame]] = []
        self._connecting: list[tuple[object, bool]] = []
        self.notary = FakeNotary()
        own = self.principals.join("spiffe://t/proxy/p", 0, ["check"])
        self.supervisor = Supervisor(self.dispatcher, self.settings, Middle(), self, self.notary, own, self.now)
        self.advance(0.1)
        self.table.take_changes()

    # the Hands of the supervisor
    def connect(self, path, *, bulk: bool) -> None:
        self._connecting.append((path, bulk))

    def advance(self, seconds: float, *, beat: float = 0.025) -> None:
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now = min(end, self.now + beat)
            self._connect_paths()
            self._answer_all()
            self.supervisor.tick(self.now)
            self.dispatcher.tick(self.now)

    def until(self, condition, seconds: float = 120.0) -> float:
        """Let time pass until that is so; return how long it took."""
        start = self.now
        while not condition():
            assert self.now - start < seconds, "it does not happen"
            self.advance(0.025)
        return self.now - start

    def _connect_paths(self) -> None:
        for path, bulk in [*self._connecting]:
            self._connecting.remove((path, bulk))
            self.asked_for.append((path, bulk))
            machine = self.machines[path.node]
            if machine.reachable and path not in machine.cut:
                self.open(path, bulk=bulk)
            else:
                self.supervisor.not_opened(path, "refused", self.now, bulk=bulk)

    def open(self, path, *, bulk: bool = False) -> Link:
        link = Link(path, lambda raw: self._take(link, raw), bulk=bulk)
        link.close = lambda reason: self.closed.append((link, reason))
        if not bulk:
            self.links[path.node] = link
        self.supervisor.opened(link, self.now)
        return link

    def _take(self, link: Link, raw: bytes) -> None:
        self.frames.append((link, frame_of(raw)))
        self.every.append((link, frame_of(raw)))

    def _answer_all(self) -> None:
        frames, self.frames = self.frames, []
        for link, frame in frames:
            machine = self.machines[link.node]
            swallowed = not machine.alive or link.path in machine.cut or link in [closed for closed, _ in self.closed]
            if not swallowed and frame.kind == kinds.PING:
                link.heard = self.now
                self.supervisor.pong(link, frame.request_id, self.pong_of(link.node), self.now)
            elif not swallowed and machine.works and frame.opcode == Opcode.CHECK:
                link.heard = self.now
                self.dispatcher.response(link, self._check_answer(machine, frame), self.now)

    def pong_of(self, node: Node) -> Pong:
        it = self.machines[node]
        own = {"state": it.state, "administrative_state": it.administrative, **it.store}
        return Pong(it.boot_id, 0, 1, it.window, it.completed, **own)

    @staticmethod
    def _check_answer(machine: Machine, frame: Frame) -> Frame:
        challenge = frame.body[-32:]
        signature = bytes(64) if machine.wrong else challenge + challenge
        body = encode_body(CheckResult(signature, machine.public_key)) if machine.check_status == Status.OK else b"\x90"
        raw = encode_frame(
            kinds.RESPONSE, body, request_id=frame.request_id, opcode=frame.opcode, status=int(machine.check_status)
        )
        return frame_of(raw)

    def of(self, node: Node, kind: int = kinds.REQUEST, opcode: int = SIGN) -> list[tuple[Link, Frame]]:
        """What a node was ever sent of this kind."""
        kept = [(link, frame) for link, frame in self.every if link.node is node and frame.kind == kind]
        return [(link, frame) for link, frame in kept if kind != kinds.REQUEST or frame.opcode == opcode]

    def checks(self, node: Node) -> int:
        return len(self.of(node, opcode=int(Opcode.CHECK)))

    def crash(self, node: Node, reason: str = "reset") -> None:
        """Cut all connections of a node."""
        for path in node.paths:
            for link in (path.bulk, path.link):
                if link is not None:
                    self.supervisor.link_lost(link, reason, self.now)


@pytest.fixture
def make_watched():
    return Watched


@pytest.fixture
def watched():
    return Watched()


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
