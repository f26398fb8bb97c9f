"""The invariants of the core, and the records from which they are checked.

Exactly one answer, to its own client, by the deadline and DEADLINE_SLACK_S; OK only with what a node made for that
very request; `not_executed` only where no node began it; nothing sent above a window or out of rotation; every
count equal to what it counts; every request in exactly one place; nodes out of rotation within the documented times.
"""

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from sim_engine import ViolationError

from hsm_wire import kinds
from hsm_wire.frames import Frame
from hsm_wire.limits import DEFAULT_TIMEOUT_MS
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import LONG
from hsm_wire.statuses import Status
from proxy.core.checks.progress import oldest_ordinary
from proxy.core.checks.silence import links_of
from proxy.core.nodes.node_table import BLOCKED, DOWN, EJECTED, READY, UP, Node
from proxy.core.parties import Client, Link, Probe, Request
from proxy.core.requests.dispatcher import AFTERMATH_S
from proxy.core.requests.failover import MAX_MOVES
from proxy.core.requests.poison import Poison

if TYPE_CHECKING:
    from sim_client import SimClient
    from sim_engine import Engine
    from sim_node import SimNode
    from sim_proxy import SimProxy

DEADLINE_SLACK_S = 0.08
"""One slot of the wheel, one beat of the ticker, and 30 ms to spare."""
SILENT_S = 1.1 + 0.075
"""Silence of 0.5 s twice, each seen one beat late at most, and a beat to spare."""
BLOCKED_S = 1.5 + 0.075
ACKNOWLEDGED_WITHIN_S = 0.02
CRASH_SEEN_S = 0.5
"""Until the reset of a crashed node has arrived everywhere."""
FULL_CHECK_BEATS = 8
_CHECK = int(Opcode.CHECK)
_NOT_EXECUTED = int(kinds.Flag.NOT_EXECUTED)
_OUT = (DOWN, EJECTED, BLOCKED)


class Record:
    """What is known of one request on the client's wire."""

    __slots__ = (
        "acquitted", "again", "answered", "arrived_at", "body", "cancelled", "client", "executed", "gone", "killed_at",
        "last_node", "opcode", "poison", "request_id", "sends", "sent_to", "status", "timeout_ms", "token", "unheard",
    )  # fmt: skip

    def __init__(self, token: bytes, client: "SimClient", request_id: int, opcode: int, timeout_ms: int) -> None:
        self.token = token
        self.client = client
        self.request_id = request_id
        self.opcode = opcode
        self.timeout_ms = timeout_ms
        self.body = b""
        self.arrived_at = 0.0
        self.again = 0
        self.sends = 0
        self.sent_to: dict[str, float] = {}
        """When each node was last sent it."""
        self.last_node: Node | None = None
        self.executed = 0
        self.killed_at: list[float] = []
        """World's times at which it took a node with it."""
        self.unheard = 0
        self.acquitted = 0
        self.answered = False
        self.status = 0
        self.poison = False
        self.cancelled = False
        self.gone = False


class WatchedPoison(Poison):
    """The real rule; each acquittal is checked against what the simulation knows."""

    __slots__ = ("checks",)

    def guilty(self, request: Request, now: float, *, served: bool) -> bool:
        """Judge, and note."""
        guilty = super().guilty(request, now, served=served)
        if not guilty:
            self.checks.acquitted(request, now, served=served)
        return guilty


class Checks:
    """All invariants of one run."""

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self.records: dict[bytes, Record] = {}
        self.statuses: dict[int, int] = {}
        self.proxy: SimProxy
        self.nodes: dict[Node, SimNode] = {}
        self.every_event = False
        self.strict_poison = False
        """Nothing but poison takes nodes: no innocent may get POISON."""
        self.single = False
        """One node has all the faults: patient requests do not fail."""
        self.innocent_banned = False
        self.requests = 0
        self.resends = 0
        self.losses: deque[tuple[float, str, float]] = deque(maxlen=256)
        """When the table lost which node, and since when nothing had reached that one."""
        self.crashes: deque[tuple[float, str]] = deque(maxlen=256)
        self._beats = 0
        self._rotation: list[Node] = []
        self._started_at = 0.0
        self.served_since: float | None = None
        self.spared_since: float | None = None

    def begin(self, proxy: "SimProxy", nodes: "dict[Node, SimNode]") -> None:
        """Watch that proxy."""
        self.proxy = proxy
        self.nodes = nodes
        self._started_at = proxy.now
        failover = proxy.dispatcher.failover
        watched = WatchedPoison(proxy.settings)
        watched.bans = failover.poison.bans
        watched.checks = self
        failover.poison = watched

    def violated(self, text: str) -> None:
        """Fail."""
        raise ViolationError(f"at {self.engine.now:.3f} s: {text}")

    # ---- the clients' wire ----------------------------------------------------------------------------------------

    def asked(self, client: "SimClient", request_id: int, opcode: int, timeout_ms: int) -> Record:
        """Make the record of a request."""
        self.requests += 1
        token = self.requests.to_bytes(8, "big")
        record = self.records[token] = Record(token, client, request_id, opcode, timeout_ms)
        return record

    def arrived(self, frame: Frame, now: float) -> None:
        """Note that a request reached the proxy."""
        self.records[frame.raw[24:32]].arrived_at = now

    def answering(self, raw: bytes, now: float) -> None:
        """Check an answer as the core gives it."""
        if raw[5] != kinds.RESPONSE:
            return
        record = self.records.get(raw[24:32])
        if record is None:
            self.violated("an answer with an operation id that nobody asked with")
            return
        if record.answered:
            self.violated(f"request {record.token.hex()} is answered twice")
        record.answered = True
        record.status = status = int.from_bytes(raw[22:24], "big")
        if self.engine.log is not None:
            self.engine.note(f"answer {record.token.hex()} {status:#06x} flags {raw[7]} to {record.client.name}")
        if raw[7] & _NOT_EXECUTED and record.executed:
            self.violated(f"request {record.token.hex()} is answered {status:#06x} `not executed`; a node had begun it")
        late = now - self._due(record)
        if late > DEADLINE_SLACK_S:
            self.violated(f"request {record.token.hex()} is answered {late:.3f} s after its deadline")
        if status == Status.POISON and not record.poison:
            self._innocent(record, now)

    def received(self, record: Record, frame: Frame) -> None:
        """Check an answer as its client gets it."""
        status = frame.status
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if frame.raw[24:32] != record.token:
            self.violated(f"{record.client.name} got another request's answer")
        if status == Status.OK and record.opcode != Opcode.STATUS:
            if frame.raw[-8:] != record.token:
                self.violated(f"request {record.token.hex()} got what was made for another one")
            if not record.executed:
                self.violated(f"request {record.token.hex()} got an OK that no node made")
        if status == Status.CANCELLED and not record.cancelled:
            self.violated(f"request {record.token.hex()} got CANCELLED; its client had not cancelled it")
        if self.single and status and self._must_succeed(record):
            self.violated(f"patient request {record.token.hex()} failed with {status:#06x} though one node was well")

    def client_gone(self, client: Client) -> None:
        """Check that nothing is kept for a client that went away."""
        if client.in_flight:
            self.violated("a client that went away has requests in flight")

    def _due(self, record: Record) -> float:
        timeout_s = (record.timeout_ms or DEFAULT_TIMEOUT_MS) / 1000
        return max(record.arrived_at + timeout_s, self.proxy.stall_ended)

    def _must_succeed(self, record: Record) -> bool:
        # A change has its node for 5 s before another one is asked.
        least_ms = 8_000 if record.opcode == Opcode.UPDATE_KEY else 4_000
        long_enough = record.timeout_ms == 0 or record.timeout_ms >= least_ms
        ordinary = record.opcode not in LONG and not record.cancelled and not record.poison
        began = self.served_since is not None and record.arrived_at > self.served_since
        return long_enough and ordinary and began

    def _innocent(self, record: Record, now: float) -> None:
        """The one case in which an innocent may be condemned: two nodes were lost that it had reached, and no third."""
        lost = sum(
            1
            for at, name, cut_since in self.losses
            if at >= record.arrived_at and record.sent_to.get(name, inf) <= min(at, cut_since + ACKNOWLEDGED_WITHIN_S)
        )
        if self.strict_poison or (lost < 2 and not (self.innocent_banned and not record.sends)):
            self.violated(f"innocent request {record.token.hex()} got POISON, {lost} losses in its life")
        self.innocent_banned = True

    def acquitted(self, request: Request, now: float, *, served: bool) -> None:
        """Check an acquittal."""
        token = request.frame.raw[24:32]
        self.records[token].acquitted += 1
        since = now - 2 * self.proxy.settings.retry.verdict_s - 0.1
        tried = {node.name for node in request.tried}
        # A node may be lost again before it was seen to be back: the world knows, the table does not.
        lost = [*((at, name) for at, name, _ in self.losses), *((at + CRASH_SEEN_S, name) for at, name in self.crashes)]
        if served and not any(at >= since and name not in tried for at, name in lost):
            self.violated(f"request {token.hex()} was acquitted though no other node was lost")

    # ---- the nodes' wire ------------------------------------------------------------------------------------------

    def sending(self, link: Link, raw: bytes, now: float) -> None:
        """Check a request as the core sends it to a node."""
        opcode = raw[20] << 8 | raw[21]
        if opcode == _CHECK:
            return
        node = link.node
        proxy = self.proxy
        token = raw[24:32]
        record = self.records[token]
        if raw[-8:] != token:
            self.violated(f"request {token.hex()} lost its body")
        if self.engine.log is not None:
            self.engine.note(f"send {token.hex()} to {node.name} over {link.path.uplink} bulk={link.bulk}")
        if record.answered:
            self.violated(f"request {token.hex()} is sent after its answer")
        if node not in proxy.table.rotation or node.administrative != READY:
            self.violated(f"a request is sent to {node.name}, which is {node.operational}/{node.administrative}")
        if now - self._due(record) > DEADLINE_SLACK_S:
            self.violated(f"request {token.hex()} is sent after its deadline")
        self._sent(link, raw, record)

    def _sent(self, link: Link, raw: bytes, record: Record) -> None:
        """Check that what was sent is counted."""
        node, token = link.node, record.token
        entry = link.in_flight.get(int.from_bytes(raw[8:12], "big"))
        if not isinstance(entry, Request) or entry.link is not link or entry.frame.raw[24:32] != token:
            self.violated(f"request {token.hex()} is sent and not noted in flight")
            return
        if record.last_node is not node:
            if record.sends:
                self.resends += 1
            if record.opcode not in LONG and node.in_flight > node.window:
                self.violated(f"{node.name} has {node.in_flight} in flight, its window is {node.window}")
        record.last_node = node
        record.sends += 1
        record.sent_to[node.name] = self.proxy.now
        attempts = self.proxy.settings.retry.attempts
        if entry.attempts > attempts or record.sends > attempts + MAX_MOVES:
            self.violated(f"request {token.hex()} is sent {record.sends} times, attempt {entry.attempts}")

    def taken(self, token: bytes, node: "SimNode") -> None:
        """Note that a node has a request."""
        if token not in self.records:
            self.violated(f"{node.name} got a request that no client sent")

    def executed(self, token: bytes, node: "SimNode") -> None:
        """Note that a node began to work on it."""
        del node
        self.records[token].executed += 1

    def crashed(self, node: "SimNode") -> None:
        """Note that a node's process ended."""
        self.crashes.append((self.proxy.now, node.name))

    def killed(self, token: bytes, node: "SimNode") -> None:
        """Note that it took its node with it."""
        record = self.records[token]
        self.engine.note(f"{token.hex()} kills {node.name}")
        unseen = sum(1 for at in record.killed_at if self._in_a_stall(at))
        # Its bytes arrived and their acknowledgement was lost: that looks like a network, and convicts nobody.
        record.unheard += any(path.to_proxy.cut and not path.to_node.cut for path in node.paths)
        record.killed_at.append(self.engine.now)
        if len(record.killed_at) > 2 + record.acquitted + unseen + record.unheard:
            taken = f"poison {token.hex()} took {len(record.killed_at)} nodes"
            self.violated(f"{taken}, {record.acquitted} times acquitted, {unseen} times beside a stall of the proxy")

    def _cut_since(self, name: str) -> float:
        """Return since when, by the proxy's clock, no byte or no acknowledgement passes to and from a node."""
        sim = next(sim for node, sim in self.nodes.items() if node.name == name)
        return max(path.cut_since for path in sim.paths) + self.proxy.now - self.engine.now

    def _in_a_stall(self, at: float) -> bool:
        """Whether a loss of that moment is seen so close to a stall of the proxy that it convicts nobody."""
        proxy = self.proxy
        return proxy.stalled or any(began - CRASH_SEEN_S <= at <= ended + AFTERMATH_S for began, ended in proxy.stalls)

    # ---- the core's state -----------------------------------------------------------------------------------------

    def after_event(self, now: float) -> None:
        """Check what is cheap, or everything."""
        table = self.proxy.table
        for change in table.take_changes():
            self.engine.note(f"{change.node} {change.path} {change.before} -> {change.after}: {change.reason}")
            if not change.path and change.after.partition("/")[0] in _OUT:
                self.losses.append((now, change.node, self._cut_since(change.node)))
        rotation = table.rotation
        if rotation is not self._rotation:
            if not rotation and self._rotation:
                self._emptied()
            self._rotation = rotation
            if rotation and self.served_since is None:
                self.served_since = now
        if len(rotation) < 2:
            self.spared_since = None
        elif self.spared_since is None:
            self.spared_since = now
        if self.every_event:
            self.full(now)

    def after_beat(self, now: float) -> None:
        """Check what follows from the time."""
        self.after_event(now)
        self._beats += 1
        if self._beats % FULL_CHECK_BEATS == 0 and not self.every_event:
            self.full(now)
        for node in self.proxy.table.rotation:
            self._fit(node, now)
        budget = self.proxy.settings.retry
        most = (
            budget.budget_burst + budget.budget_share * self.requests
            + budget.budget_per_s * (now - self._started_at + 1.0)
        )  # fmt: skip
        if self.resends > most:
            self.violated(f"{self.resends} attempts after the first; the budget allows {most:.0f}")

    def _emptied(self) -> None:
        gone = self._rotation
        passive = [
            node
            for node in gone
            if node.sanction and node.reported == UP and node.administrative == READY and any(p.up for p in node.paths)
        ]
        if len(passive) == len(gone):
            self.violated(f"passive ejection emptied the rotation: {[node.reason for node in passive]}")

    def _fit(self, node: Node, now: float) -> None:
        """Check that a node in rotation is not one that had to be out by now."""
        sim = self.nodes[node]
        stalled = self.proxy.stall_ended
        if sim.hung_since is not None or all(path.to_proxy.cut for path in sim.paths):
            for link in links_of(node):
                if link.in_flight:
                    silent_s = now - max(link.heard, link.owing_since, stalled)
                    if silent_s > SILENT_S:
                        self.violated(f"{node.name} is in rotation after {silent_s:.3f} s of silence")
        blocked_since, spared_since = sim.blocked_since, self.spared_since
        if blocked_since is not None and spared_since is not None and sim.hung_since is None:
            oldest = oldest_ordinary(node)
            if oldest is not None and not any(path.cut or path.to_node.extra_s for path in sim.paths):
                world = self.proxy.offset_s
                blocked_s = now - max(oldest, blocked_since + world, stalled, spared_since)
                if blocked_s > BLOCKED_S and node.link is not None and now - node.link.heard < 0.5:
                    self.violated(f"{node.name} is in rotation after {blocked_s:.3f} s of no progress")

    def full(self, now: float) -> None:
        """Count everything."""
        proxy = self.proxy
        open_links = set(proxy.table.links)
        for end in proxy.links:
            if end.link is not None and end.link.in_flight and end.link not in open_links:
                self.violated(f"a link to {end.link.node.name} that the table does not know owes answers")
        for node in proxy.table.nodes:
            self._count(node)
        self._places()

    def _count(self, node: Node) -> None:
        in_flight = suspects = 0
        for link in links_of(node):
            for entry in link.in_flight.values():
                if isinstance(entry, Probe):
                    in_flight += 1
                    continue
                request = entry if isinstance(entry, Request) else entry.request
                in_flight += request.frame.opcode not in LONG
                suspects += request is entry and bool(request.losses) and request.frame.opcode not in LONG
        if in_flight != node.in_flight:
            self.violated(f"{node.name} counts {node.in_flight} in flight; its links owe {in_flight}")
        if suspects != node.suspects:
            self.violated(f"{node.name} counts {node.suspects} suspects; its links have {suspects}")

    def _places(self) -> None:
        """Check that each request is in exactly one place, and has a time."""
        proxy = self.proxy
        dispatcher = proxy.dispatcher
        queued = set(dispatcher.queue)
        between = dispatcher.failover.waiting
        if len(queued) != dispatcher.queue.size:
            self.violated(f"the queue counts {dispatcher.queue.size}; it has {len(queued)}")
        alive = 0
        generating = 0
        for end in proxy.clients:
            client = end.client
            assert client is not None
            for request_id, request in client.in_flight.items():
                alive += request.link is None
                generating += request.frame.opcode in LONG
                places = (request in queued) + (request in between)
                if request.link is not None:
                    places += request.link.in_flight.get(request.link_id) is request
                if places != 1 or request.done or request.client_id != request_id:
                    self.violated(f"request {request.frame.raw[24:32].hex()} is in {places} places")
                if request.slot is None and not request.held_until:
                    self.violated(f"request {request.frame.raw[24:32].hex()} has no deadline")
        if alive != len(queued) + len(between):
            self.violated("requests wait whose client is gone")
        if generating != sum(dispatcher._switch.generations.values()):
            self.violated("key generations are counted wrongly")
