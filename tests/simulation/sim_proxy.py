"""The proxy in the simulation: the real core, with simulated connections and ticker in the place of `proxy.net`.

`NodeLink` and `ClientEnd` do what `proxy.net.node_link` and `proxy.net.client_protocol` do, without a loop.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sim_engine import Pipe
from sim_node import NodeEnd, SimPath, sign

from hsm_wire import kinds
from hsm_wire.connection import Connection, agree_on
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.messages import Hello, Pong, Welcome, decode_body, encode_body
from hsm_wire.operations import Role
from hsm_wire.states import End
from proxy.core.checks.supervisor import Supervisor
from proxy.core.counters import Counters
from proxy.core.nodes.node_table import Node, NodeTable, PathEntry
from proxy.core.parties import Client, Link
from proxy.core.principals import Bound, Principals
from proxy.core.requests.balancer import Balancer
from proxy.core.requests.deadlines import SLOT_S
from proxy.core.requests.dispatcher import Dispatcher
from proxy.core.settings import Settings

if TYPE_CHECKING:
    from sim_checks import Checks
    from sim_engine import Engine

_HELLO = encode_frame(kinds.HELLO, encode_body(Hello(1, 1, 1 << 20, 8192, "hsm-proxy sim proxy-1")))


class SimProxy:
    """One proxy: `Hands` and `Notary` of its core."""

    def __init__(
        self, engine: "Engine", checks: "Checks", settings: Settings, nodes: list[Node], ways: dict[PathEntry, SimPath]
    ) -> None:
        self.engine = engine
        self.checks = checks
        self.settings = settings
        self.ways = ways
        self.offset_s = 100.0
        """How far the proxy's clock is ahead of the world's."""
        self.stalled = False
        self.stall_ended = 0.0
        """Proxy's time of the end of its last stall or jump."""
        self.stalls: list[tuple[float, float]] = []
        """World's times of the begin and end of each stall or jump that is over."""
        self._unread: list[Callable[[], None]] = []
        self._next_beat = 0.0
        now = self.now
        self.table = NodeTable(nodes, settings, now)
        self.counters = Counters()
        self.dispatcher = Dispatcher(
            self.table, Balancer(self.table, engine.rng), settings, self.counters, now, self._status
        )
        self.principals = Principals()
        own = self.principals.join("spiffe://sim/proxy/proxy-1", 0, [Role.CHECK])
        self.supervisor = Supervisor(self.dispatcher, settings, engine.rng, self, self, own, now)
        self.links: dict[NodeLink, None] = {}
        self.clients: dict[ClientEnd, None] = {}

    @property
    def now(self) -> float:
        """The proxy's monotonic clock."""
        return self.engine.now + self.offset_s

    # ---- the ticker -----------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Do what the ticker does, and set the next beat."""
        if self.stalled:
            return
        now = self.now
        self.supervisor.tick(now)
        self.dispatcher.tick(now)
        self.checks.after_beat(now)
        self.engine.after(self.beat_s, self.beat)

    beat_s = SLOT_S

    def stall(self, seconds: float) -> None:
        """Stand still: nothing is read, no beat comes."""
        if not self.stalled:
            self.engine.note("the proxy stands still")
            self.stalled = True
            self.engine.after(seconds, self._wake, seconds)

    def _wake(self, stood_s: float) -> None:
        self.stalled = False
        self.stall_ended = self.now
        self.stalls.append((self.engine.now - stood_s, self.engine.now))
        self.engine.note("the proxy goes on")
        unread, self._unread = self._unread, []
        if self.engine.rng.random() < 0.5:  # whether timers or sockets come first is the loop's affair
            self.beat()
            for call in unread:
                call()
        else:
            for call in unread:
                call()
            self.beat()

    def jump(self, seconds: float) -> None:
        """Set the proxy's clock forward."""
        self.offset_s += seconds
        self.stall_ended = self.now
        self.stalls.append((self.engine.now, self.engine.now))

    def deliver(self, call: Callable[..., None], *arguments: Any) -> None:
        """Call into the proxy now, or when it reads again."""
        if self.stalled:
            self._unread.append(lambda: call(*arguments))
        else:
            call(*arguments)

    # ---- Hands and Notary -----------------------------------------------------------------------------------------

    def connect(self, path: PathEntry, *, bulk: bool) -> None:
        """Open a connection."""
        NodeLink(self, path, bulk=bulk).connect()

    def challenge(self) -> bytes:
        """Return the challenge of a deep check."""
        return self.engine.rng.randbytes(32)

    def verifies(self, public_key: bytes, challenge: bytes, signature: bytes) -> bool:
        """Say whether that is what the node would sign."""
        return sign(public_key, challenge) == signature

    def _status(self, frame: Frame, now: float, _who: Bound) -> bytes:
        return encode_frame(
            kinds.RESPONSE, b"\x90", request_id=frame.request_id, opcode=frame.opcode, operation_id=frame.operation_id
        )


class NodeLink:
    """The proxy's end of a connection to a node."""

    def __init__(self, proxy: SimProxy, path: PathEntry, *, bulk: bool) -> None:
        self.proxy = proxy
        self.path = path
        self.bulk = bulk
        self.way = proxy.ways[path]
        self.link: Link | None = None
        self._connection = Connection(End.CLIENT, binds=True)
        self._open = True
        self._lost_at = -1.0
        """When the first bytes were written that a cut way lost."""
        self._end: NodeEnd | None = None
        self._out: Pipe | None = None
        self._in: Pipe | None = None

    def connect(self) -> None:
        """Begin: the answer of the system comes after a round trip, or never."""
        engine = self.proxy.engine
        round_trip = self.way.to_node.delay() + self.way.to_proxy.delay()
        engine.after(round_trip, self._established)
        engine.after(self.proxy.settings.limits.connect_s, self.proxy.deliver, self._too_late)

    def _established(self) -> None:
        node = self.way.node
        if self.way.cut or not self._open:
            return
        if not node.accepts:
            self._open = False
            self.proxy.deliver(self._told, "connection refused")
            return
        self._in = Pipe(self.way.to_proxy, self._arrived)
        self._end = node.accept(self._in)
        self._out = Pipe(self.way.to_node, self._end.receive)
        self.proxy.deliver(self._say_hello)

    def _say_hello(self) -> None:
        if self._open and self._out is not None:
            self.proxy.links[self] = None
            self._connection.sent(kinds.HELLO)
            self._out.write(_HELLO)

    def _too_late(self) -> None:
        if self._open and self.link is None:
            self.abort("it was too slow")

    def _arrived(self, data: bytes | None) -> None:
        self.proxy.deliver(self.receive, data)

    def receive(self, data: bytes | None) -> None:
        """Take bytes of the node, or the connection's end."""
        if not self._open:
            return
        if data is None:
            self._close()
            self._told("the node closed the connection")
            return
        proxy = self.proxy
        now = proxy.now
        link = self.link
        if link is not None:
            link.heard = now
        for frame in self._connection.receive(data):
            if frame.kind == kinds.RESPONSE and link is not None and frame.request_id:
                proxy.dispatcher.response(link, frame, now)
            else:
                self._control(frame, now)
                link = self.link
        if self._connection.fault is not None and self._open:
            self.abort("the node broke the protocol")
        proxy.checks.after_event(now)

    def _control(self, frame: Frame, now: float) -> None:
        supervisor, link = self.proxy.supervisor, self.link
        if frame.kind == kinds.WELCOME:
            self._welcome(decode_body(Welcome, frame.body), now)
        elif frame.kind == kinds.PONG and link is not None:
            supervisor.pong(link, frame.request_id, decode_body(Pong, frame.body), now)
        elif frame.kind == kinds.GOAWAY and link is not None:
            supervisor.going_away(link, now)

    def _welcome(self, welcome: Welcome, now: float) -> None:
        self._connection.agree(1 << 20)
        link = self.link = Link(
            self.path,
            self.sink,
            bulk=self.bulk,
            max_in_flight=welcome.max_in_flight,
            max_frame_bytes=welcome.max_frame_bytes,
            close=self.abort,
            unacknowledged_s=self.unacknowledged_s,
        )
        self.proxy.supervisor.opened(link, now)

    def sink(self, raw: bytes) -> None:
        """Take a frame of the core."""
        if self._out is None or not self._open:
            return
        if raw[5] == kinds.REQUEST and self.link is not None:
            self.proxy.checks.sending(self.link, raw, self.proxy.now)
        self._out.write(raw)
        now = self.proxy.engine.now
        if now >= self.way.cut_since > self._lost_at:
            self._lost_at = now

    def unacknowledged_s(self) -> float:
        """Return how long ago something was acknowledged, where something was lost since."""
        now, since = self.proxy.engine.now, self.way.cut_since
        return now - since if self._lost_at >= since else 0.0

    def abort(self, reason: str) -> None:
        """Drop the connection; the core is told in a turn of its own."""
        if self._open:
            self._close()
            if self._out is not None:
                self._out.end()
            self.proxy.engine.after(0.0, self.proxy.deliver, self._told, reason)

    def _close(self) -> None:
        self._open = False
        if self._in is not None:
            self._in.open = False

    def _told(self, reason: str) -> None:
        proxy = self.proxy
        proxy.links.pop(self, None)
        now = proxy.now
        if self.link is not None:
            proxy.supervisor.link_lost(self.link, reason, now)
        else:
            proxy.supervisor.not_opened(self.path, reason, now, bulk=self.bulk)
        proxy.checks.after_event(now)


class ClientEnd:
    """The proxy's end of a client's connection."""

    def __init__(self, proxy: SimProxy, identity: str, partition: int, out: Pipe) -> None:
        self.proxy = proxy
        self.out = out
        self.client: Client | None = None
        self._identity = identity
        self._partition = partition
        self._principal: Bound | None = None
        self._connection = Connection(End.SERVER, binds=False)
        self._unread: list[bytes] = []
        self._open = True

    def arrived(self, data: bytes | None) -> None:
        """Take bytes of the client from the way."""
        self.proxy.deliver(self.receive, data)

    def receive(self, data: bytes | None) -> None:
        """Take bytes of the client, or its end."""
        if not self._open:
            return
        if data is None:
            self._lost()
            return
        client = self.client
        if client is not None and (client.paused or self._unread):
            self._unread.append(data)
            return
        self._take(data)

    def _take(self, data: bytes) -> None:
        proxy = self.proxy
        now = proxy.now
        for frame in self._connection.receive(data):
            if frame.kind == kinds.REQUEST and self.client is not None:
                proxy.checks.arrived(frame, now)
                proxy.dispatcher.request(self.client, frame, now)
            elif frame.kind == kinds.CANCEL and self.client is not None:
                proxy.dispatcher.cancel(self.client, frame.request_id, now)
            elif frame.kind == kinds.HELLO:
                self._hello(decode_body(Hello, frame.body))
        if self._connection.fault is not None:
            proxy.checks.violated(f"a client's legal frames were refused: {self._connection.fault.detail}")
        client = self.client
        if client is not None and len(client.in_flight) >= client.max_in_flight:
            client.paused = True
        proxy.checks.after_event(now)

    def _hello(self, hello: Hello) -> None:
        proxy = self.proxy
        limits = proxy.settings.limits
        welcome = agree_on(hello, limits.max_frame_bytes, limits.client_in_flight, "hsm-proxy sim", "")
        self._connection.sent(kinds.WELCOME)
        self._connection.agree(welcome.max_frame_bytes)
        self._principal = proxy.principals.join(self._identity, self._partition, ["use", "manage"])
        self.client = Client(
            self._sink,
            self._principal,
            max_in_flight=welcome.max_in_flight,
            max_frame_bytes=welcome.max_frame_bytes,
            wire_ids=self._connection.in_flight,
            resume=self._resume,
        )
        proxy.clients[self] = None
        self.out.write(encode_frame(kinds.WELCOME, encode_body(welcome)))

    def _sink(self, raw: bytes) -> None:
        if self._open:
            self.proxy.checks.answering(raw, self.proxy.now)
            self.out.write(raw)

    def _resume(self) -> None:
        client = self.client
        if client is not None and client.paused and len(client.in_flight) < client.max_in_flight:
            client.paused = False
            self.proxy.engine.after(0.0, self.proxy.deliver, self._read_on)

    def _read_on(self) -> None:
        client = self.client
        if self._open and self._unread and client is not None and not client.paused:
            data = b"".join(self._unread)
            self._unread.clear()
            self._take(data)

    def _lost(self) -> None:
        self._open = False
        self.out.open = False
        proxy = self.proxy
        if self.client is not None and self._principal is not None:
            proxy.clients.pop(self, None)
            now = proxy.now
            proxy.dispatcher.client_lost(self.client, now)
            proxy.principals.leave(self._principal, proxy.table.links)
            proxy.checks.client_gone(self.client)
            proxy.checks.after_event(now)
