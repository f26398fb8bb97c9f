"""A proxy, or one of its workers, in the study of scale: the real core, with simulated connections to simulated nodes.

What `proxy.net` does with sockets is done here with delays. Its event loop is a station that each request passes
twice, on its way to a node and back, so that what the proxy costs is time that others wait.
"""

import random
from collections.abc import Mapping
from typing import Final

from bench.agenda import Agenda, Station
from bench.simulated_node import SimulatedNode
from hsm_wire import kinds
from hsm_wire.frames import Frame
from hsm_wire.messages import Pong, decode_body
from hsm_wire.operations import Role
from proxy.core.checks.supervisor import Supervisor
from proxy.core.counters import Counters
from proxy.core.nodes.node_table import Node, NodeTable, PathEntry
from proxy.core.parties import Client, Link
from proxy.core.principals import Principals
from proxy.core.requests.balancer import Balancer
from proxy.core.requests.deadlines import SLOT_S
from proxy.core.requests.dispatcher import Dispatcher
from proxy.core.settings import Settings

CHALLENGE: Final = bytes(32)


class SimulatedProxy:
    """The `Hands` and the `Notary` of its core, and what its clients ask."""

    def __init__(
        self,
        agenda: Agenda,
        rng: random.Random,
        name: str,
        settings: Settings,
        ways: Mapping[SimulatedNode, float],
        cost_s: float,
    ) -> None:
        """Connect to no node yet.

        Args:
            agenda: its clock.
            rng: its chance.
            name: of the proxy; its workers have the same.
            settings: of this worker, divided already.
            ways: node -> seconds to it, one way.
            cost_s: of its loop, for a request.
        """
        self.agenda = agenda
        self.name = name
        self.loop = Station()
        self._half_s = cost_s / 2
        self._nodes: dict[PathEntry, SimulatedNode] = {}
        self._ways = ways
        table = []
        for node in ways:
            entry = Node(node.name, "site", 1, [("isp", f"{node.name}:2420")])
            self._nodes[entry.paths[0]] = node
            table.append(entry)
        now = agenda.now
        self.table = NodeTable(table, settings, now)
        self.counters = Counters()
        self.dispatcher = Dispatcher(
            self.table, Balancer(self.table, rng), settings, self.counters, now, lambda _frame, _now, _who: b""
        )
        self.principals = Principals()
        own = self.principals.join(f"spiffe://study/proxy/{name}", 0, [Role.CHECK])
        self._supervisor = Supervisor(self.dispatcher, settings, rng, self, self, own, now)
        agenda.after(SLOT_S * rng.random(), self._beat)

    def ask(self, client: Client, frame: Frame) -> None:
        """Take a request of a client."""
        done = self.loop.done_at(self.agenda.now, self._half_s)
        self.agenda.at(done, self._dispatch, client, frame)

    def connect(self, path: PathEntry, *, bulk: bool) -> None:
        """Open a connection to a node."""
        way_s = self._ways[self._nodes[path]]
        self.agenda.after(2 * way_s, self._connected, path, bulk)

    def challenge(self) -> bytes:
        """Return the challenge of a deep check."""
        return CHALLENGE

    def verifies(self, public_key: bytes, challenge: bytes, signature: bytes) -> bool:
        """Say whether that is what a simulated node answers."""
        return challenge == CHALLENGE and not any(public_key) and not any(signature)

    def hear(self, wire: "SimulatedWire", frame: Frame) -> None:
        """Take a frame of a node."""
        wire.link.heard = self.agenda.now
        if frame.kind == kinds.PONG:
            pong = decode_body(Pong, frame.body)
            self._supervisor.pong(wire.link, frame.request_id, pong, self.agenda.now)
        else:
            done = self.loop.done_at(self.agenda.now, self._half_s)
            self.agenda.at(done, self._respond, wire, frame)

    def lose(self, wire: "SimulatedWire", reason: str) -> None:
        """Note that a connection to a node has ended."""
        self._supervisor.link_lost(wire.link, reason, self.agenda.now)

    def _beat(self) -> None:
        now = self.agenda.now
        self._supervisor.tick(now)
        self.dispatcher.tick(now)
        self.agenda.after(SLOT_S, self._beat)

    def _dispatch(self, client: Client, frame: Frame) -> None:
        self.dispatcher.request(client, frame, self.agenda.now)

    def _respond(self, wire: "SimulatedWire", frame: Frame) -> None:
        if wire.is_open:
            self.dispatcher.response(wire.link, frame, self.agenda.now)

    def _connected(self, path: PathEntry, bulk: bool) -> None:
        node, now = self._nodes[path], self.agenda.now
        if node.alive:
            wire = SimulatedWire(self, node, path, self._ways[node], bulk=bulk)
            node.wires[wire] = self.name
            self._supervisor.opened(wire.link, now)
        else:
            self._supervisor.not_opened(path, "connection refused", now, bulk=bulk)


class SimulatedWire:
    """A connection between a proxy and a node."""

    def __init__(
        self, proxy: SimulatedProxy, node: SimulatedNode, path: PathEntry, way_s: float, *, bulk: bool
    ) -> None:
        self.is_open = True
        self.link = Link(path, self._sink, bulk=bulk, close=self._close)
        self._proxy = proxy
        self._node = node
        self._way_s = way_s

    def deliver(self, frame: Frame) -> None:
        """Bring a frame of the node to the proxy."""
        self._proxy.agenda.after(self._way_s, self._arrive, frame)

    def cut(self) -> None:
        """End at once: the proxy hears of it after the way."""
        self._proxy.agenda.after(self._way_s, self._end, "the node closed the connection")

    def _sink(self, raw: bytes) -> None:
        self._proxy.agenda.after(self._way_s, self._node.receive, self, raw)

    def _arrive(self, frame: Frame) -> None:
        if self.is_open:
            self._proxy.hear(self, frame)

    def _close(self, reason: str) -> None:
        self._node.wires.pop(self, None)
        self._proxy.agenda.after(0.0, self._end, reason)

    def _end(self, reason: str) -> None:
        if self.is_open:
            self.is_open = False
            self._proxy.lose(self, reason)
