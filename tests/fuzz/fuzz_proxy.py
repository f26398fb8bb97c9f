"""Invariant: whatever a client and a node send to a proxy, in any order and at any time: nothing is raised, no request
has two answers, everything held is within the limits, and another client's requests are each answered once and its own
way, also afterwards.

The proxy is the real one without sockets: listener, client protocols, dispatcher, supervisor, node links, ticker.
node-1 and one client are the input's; node-2 and the other client keep the rules. Input: one byte of options, then
steps: frames and raw bytes of both, time, slow readers, new connections. Run: see `run.py`.
"""

import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzz_input import AS_CLIENT, AS_NODE, Input
from still_world import StillLoop, StillTransport, still_world

from hsm_cluster.cluster import Cluster, load_cluster
from hsm_daemon.log_limit import LimitedLog
from hsm_wire import kinds
from hsm_wire.frames import Frame, FrameSplitter, encode_frame
from hsm_wire.messages import CheckResult, Hello, Pong, Welcome, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import Role
from proxy.core.checks.supervisor import Supervisor
from proxy.core.counters import Counters
from proxy.core.nodes.node_table import NodeTable, PathEntry
from proxy.core.principals import Principals
from proxy.core.reporting.events import RecentEvents
from proxy.core.reporting.rates import Rates
from proxy.core.requests.balancer import Balancer
from proxy.core.requests.dispatcher import Dispatcher
from proxy.core.settings import HealthSettings, Limits, Settings
from proxy.net import listener as listener_module
from proxy.net.client_protocol import ClientProtocol
from proxy.net.link_keeper import LinkKeeper
from proxy.net.listener import Listener
from proxy.net.node_link import NodeLink
from proxy.net.ticker import Ticker
from proxy.net.write_gate import FlushTurn
from proxy.reconfiguration import node_of
from proxy.status import StatusReporter

ADDRESS = '[[nodes]]\nname = "node-{0}"\nsite = "s"\npaths = [{{ uplink = "u", address = "127.0.0.1:{0}" }}]\n'
LIMITS = Limits(
    clients=4,
    client_in_flight=8,
    client_unread_bytes=65_536,
    client_pause_bytes=4096,
    client_unread_s=2.0,
    hello_s=1.0,
    closing_s=0.5,
    idle_s=20.0,
    connect_s=0.5,
    max_frame_bytes=8192,
    bulk_bytes=1024,
    queue_requests=16,
)
SLACK_BYTES = 256 << 10
"""What one flush may bring above `client_unread_bytes`."""
OPENING_S = 0.2
REQUEST_MS = 500
AFTER_S = 2.0
FROM_CLIENT = (0, 1, 2, 11, 12, 14, 15)
FROM_NODE = (3, 4, 5, 10, 13)
ECHO = b"\x00echo of "
MARK = b"\x00request "


def cluster_of() -> Cluster:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cluster.toml"
        head = '[cluster]\nname = "t"\npackage = "sandbox"\n[[sites]]\nname = "s"\n'
        grant = (
            '[[partitions]]\nid = 1\nname = "p"\nclients = [{ identity = "spiffe://t/client/a", roles = ["use"] }]\n'
        )
        path.write_text(head + ADDRESS.format(1) + ADDRESS.format(2) + grant)
        return load_cluster(path)


CLUSTER = cluster_of()


class Notary:
    """Believes every signature: cryptography has its own tests."""

    def challenge(self) -> bytes:
        return b"c" * 32

    def verifies(self, public_key: bytes, challenge: bytes, signature: bytes) -> bool:
        return True


class Peer:
    """The other end of a connection of the proxy."""

    def __init__(self, transport: StillTransport) -> None:
        self.transport = transport
        self._splitter = FrameSplitter(1 << 24)
        self._read = 0

    def frames(self) -> list[Frame]:
        """Return what the proxy has sent since the last call."""
        data = bytes(self.transport.written[self._read :])
        self._read += len(data)
        frames = self._splitter.split(data)
        assert self._splitter.fault is None, "what was sent is malformed"
        return frames


class NodePeer(Peer):
    """A node that does what it is asked at once, when it is looked at."""

    completed = 0

    def work(self) -> None:
        for frame in self.frames():
            answer = self._answer(frame)
            if answer:
                self.transport.feed(answer)

    def _answer(self, frame: Frame) -> bytes:
        if frame.kind == kinds.HELLO:
            return encode_frame(kinds.WELCOME, encode_body(Welcome(1, 8192, 64, "node")))
        if frame.kind == kinds.PING:
            pong = encode_body(Pong(b"b" * 16, 0, 2, 16, self.completed))
            return encode_frame(kinds.PONG, pong, request_id=frame.request_id)
        if frame.kind != kinds.REQUEST:
            return b""
        self.completed += 1
        body = encode_body(CheckResult(b"s" * 64, b"p" * 65)) if frame.opcode == Opcode.CHECK else ECHO + frame.body
        return encode_frame(
            kinds.RESPONSE,
            body,
            request_id=frame.request_id,
            opcode=frame.opcode,
            operation_id=frame.operation_id,
        )


class ClientPeer(Peer):
    """A client, and a count of what it asked and was told."""

    def __init__(self, transport: StillTransport) -> None:
        super().__init__(transport)
        self.answers: Counter[int] = Counter()
        self.asked = 0

    def look(self, *, honest: bool) -> list[Frame]:
        answers = [frame for frame in self.frames() if frame.kind == kinds.RESPONSE]
        for frame in answers:
            self.answers[frame.request_id] += 1
            if honest and frame.body.startswith(ECHO):
                assert frame.body == ECHO + MARK + frame.request_id.to_bytes(4, "big"), "another one's answer"
        return answers

    def ask(self) -> None:
        self.asked += 1
        body = MARK + self.asked.to_bytes(4, "big")
        self.transport.feed(
            encode_frame(kinds.REQUEST, body, request_id=self.asked, opcode=0x0201, timeout_ms=REQUEST_MS)
        )

    def at_most_once(self, fault: Any) -> None:
        splitter = FrameSplitter(1 << 24)
        asked = Counter(
            frame.request_id for frame in splitter.split(bytes(self.transport.delivered)) if frame.kind == kinds.REQUEST
        )
        if fault is not None:
            asked[fault.request_id or 0] += 1
        for request_id, count in self.answers.items():
            assert count <= max(asked[request_id], request_id == 0), f"request {request_id} has two answers"


class Keeper(LinkKeeper):
    """Opens connections to the peers of this file."""

    world: "World"

    def connect(self, path: PathEntry, *, bulk: bool) -> None:
        asyncio.get_running_loop().call_soon(self._begin, path, bulk)

    def _begin(self, path: PathEntry, bulk: bool) -> None:
        now = self.world.loop.now
        if path.node.name == "node-1" and self.world.cut:
            self._unreachable(path, "cannot connect: it is gone", now, bulk=bulk)
            return
        connection = NodeLink(self, path, bulk=bulk)
        peer = NodePeer(StillTransport(self.world.loop, connection))
        self.world.peers[path.node.name].append(peer)

        def ended(opened: "asyncio.Future[None]") -> None:
            if opened.exception() is not None and connection.link is None:
                self._unreachable(path, str(opened.exception()), self.world.loop.now, bulk=bulk)

        connection.opened.add_done_callback(ended)

        def late() -> None:
            if not connection.opened.done():
                connection.abort("it was too slow")

        self.world.loop.call_later(self.settings.limits.connect_s, late)


class World:
    """The proxy and everybody around it."""

    def __init__(self, loop: StillLoop, protocol: type[ClientProtocol], dispatcher: type[Dispatcher]) -> None:
        self.loop = loop
        self.cut = False
        self.peers: dict[str, list[NodePeer]] = {"node-1": [], "node-2": []}
        self._protocol = protocol
        settings = Settings(limits=LIMITS, health=HealthSettings(deep_interval_s=1.0))
        chance, now = random.Random(1), loop.now
        self.table = NodeTable(map(node_of, CLUSTER.nodes), settings, now)
        counters, rows = Counters(), self.table
        status = StatusReporter(
            proxy="p", site="s", cluster="t", software="x", started=now, table=rows,
            rates=Rates(counters, rows, now), events=RecentEvents(), wall=lambda: loop.now,
        )  # fmt: skip
        self.dispatcher = dispatcher(rows, Balancer(rows, chance), settings, counters, now, status.answer)
        turn = FlushTurn(loop)
        self.principals = Principals()
        self.listener = Listener(
            cluster=CLUSTER,
            dispatcher=self.dispatcher,
            principals=self.principals,
            settings=settings,
            turn=turn,
            software="x",
            boot_id=b"p" * 16,
            identity_without_tls="spiffe://t/client/a",
        )
        keeper = Keeper(
            cluster_name="t",
            configuration_hash="00",
            dispatcher=self.dispatcher,
            settings=settings,
            turn=turn,
            name="x p",
            context=None,
            report=self.listener.pong,
        )
        keeper.world = self
        own = self.principals.join("spiffe://t/proxy/p", 0, [Role.CHECK])
        keeper.supervisor = Supervisor(self.dispatcher, settings, chance, keeper, Notary(), own, now)
        Ticker(loop, self._beat, keeper.tick, self.dispatcher.tick, self.listener.tick).start()

    def _beat(self, now: float) -> None:
        del now
        for peer in self.peers["node-2"]:
            peer.work()

    def settle(self) -> None:
        self.loop.settle()
        self._beat(self.loop.now)
        self.loop.settle()

    def client(self) -> tuple[ClientProtocol, ClientPeer]:
        protocol = self._protocol(self.listener)
        return protocol, ClientPeer(StillTransport(self.loop, protocol))

    def fuzzed(self) -> Iterator[NodePeer]:
        return (peer for peer in self.peers["node-1"][-2:] if not peer.transport.is_closing())

    def check(self) -> None:
        assert len(self.listener.clients) <= LIMITS.clients + 1, "more connections than the limit"
        assert self.dispatcher.queue.size <= LIMITS.queue_requests, "the queue is longer than its limit"
        for protocol in self.listener.clients:
            assert protocol._connection.buffered <= LIMITS.max_frame_bytes + 4, "too much is held"
            client = protocol.client
            assert client is None or len(client.in_flight) <= client.max_in_flight, "more in flight than agreed"
        for node in self.table.nodes:
            assert node.in_flight >= 0, "a window is given back twice"


class Run:
    """One input."""

    def __init__(self, world: World, source: Input) -> None:
        self.world = world
        self.source = source
        self.good_protocol, self.good = world.client()
        self.hello(self.good)
        self.protocol, self.bad = world.client()

    def hello(self, peer: ClientPeer) -> None:
        peer.transport.feed(encode_frame(kinds.HELLO, encode_body(Hello(1, 1, 1 << 20, 8, "c"))))

    def step(self) -> None:
        choice = self.source.number()
        action, more = choice & 15, choice >> 4
        if action in FROM_CLIENT:
            self.client_acts(action, more)
        elif action in FROM_NODE:
            self.node_acts(action, more)
        elif action <= 7:
            for _ in range(1 + (more & 3)):
                self.good.ask()
        else:
            self.world.loop.advance(self.source.number() / 64)
            if self.world.loop.now - self.good_protocol.heard > LIMITS.idle_s / 2:
                self.good.ask()  # or it is sent away, as it should be
        self.world.settle()
        self.look()
        self.world.check()

    def client_acts(self, action: int, more: int) -> None:
        transport, source = self.bad.transport, self.source
        if action <= 2:
            transport.feed(b"".join(source.frame(AS_CLIENT) for _ in range(1 + more)))
        elif action == 11:
            transport.feed(source.take(source.number()))
        elif action == 12:
            self.bad_reads(more)
        elif action == 14:
            transport.end()
        else:
            self.again()

    def node_acts(self, action: int, more: int) -> None:
        peers = list(self.world.fuzzed())
        if action == 10:
            for peer in peers:
                peer.work()
            return
        for peer in peers[: 1 + (more & 1)]:
            if action == 13:
                peer.transport.close()
            elif more < 14:
                peer.transport.feed(self.source.frame(AS_NODE))
            else:
                peer.transport.feed(self.source.take(self.source.number()))

    def bad_reads(self, more: int) -> None:
        if more & 1:
            self.bad.transport.read()
        else:
            self.bad.transport.stuck = True

    def again(self) -> None:
        """The bad client connects anew, with HELLO; the connection before stays as it is."""
        self.bad.at_most_once(self.protocol._connection.fault)
        self.bad.transport.close()
        self.protocol, self.bad = self.world.client()
        self.hello(self.bad)

    def look(self) -> None:
        self.good.look(honest=True)
        self.bad.look(honest=False)
        assert self.bad.transport.most_waiting <= LIMITS.client_unread_bytes + SLACK_BYTES, "too much waits unread"

    def end(self) -> None:
        """Both peers of the input go; whoever keeps the rules has every answer, and is served on."""
        world, good = self.world, self.good
        self.bad.at_most_once(self.protocol._connection.fault)
        world.cut = True
        for peer in world.peers["node-1"]:
            peer.transport.close()
        self.bad.transport.close()
        world.loop.advance(AFTER_S)
        self.look()
        good.ask()
        world.settle()
        world.loop.advance(2 * OPENING_S)
        [last] = good.look(honest=True)
        assert (last.request_id, last.status) == (good.asked, 0), "the service has not come back"
        once = dict.fromkeys(range(1, good.asked + 1), 1)
        assert dict(good.answers) == once, "a client that keeps the rules has not each answer once"
        world.settle()  # a check of the last beat
        assert not self.dispatcher_owes(), "something is still waited for"
        good.transport.close()
        world.settle()
        assert not world.listener.clients, "a connection that ended is still there"
        assert len(world.principals) == 1, "an identity that left is still bound"

    def dispatcher_owes(self) -> int:
        links = [link for link in self.world.table.links if link.node.name == "node-2"]
        return self.world.dispatcher.waiting + sum(len(link.in_flight) for link in links)


def one(
    data: bytes, protocol: type[ClientProtocol] = ClientProtocol, dispatcher: type[Dispatcher] = Dispatcher
) -> None:
    """Check one input; `protocol` and `dispatcher` are there for the negative control."""
    source = Input(data)
    with still_world("proxy") as loop:
        listener_module._refusals = LimitedLog(listener_module._log, 10)
        world = World(loop, protocol, dispatcher)
        options = source.number()
        for _ in range(4):
            world.loop.advance(OPENING_S / 4)
            if options & 1:
                for peer in list(world.fuzzed()):
                    peer.work()
        world.settle()
        run_of = Run(world, source)
        if options & 2:
            run_of.hello(run_of.bad)
        while source.more:
            run_of.step()
        run_of.end()


if __name__ == "__main__":
    import run

    run.inside("proxy", sys.argv[1:])
