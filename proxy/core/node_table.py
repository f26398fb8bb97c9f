"""Nodes, their paths and their states. `NodeTable.move` is the one function that changes a node's state.

A node has two states: the administrative one is what the operator wants, the operational one is what is seen.
It is in rotation when it is `ready` and `up` and has a path that is up. Nodes that are `stale` (without contact
to their store) serve only while no current node can.
"""

from collections.abc import Iterable

import msgspec

from hsm_wire.messages import Pong
from proxy.core.parties import Link

UP = "up"
DOWN = "down"
STALE = "stale"
READY = "ready"
OPERATIONAL_STATES = (
    UP,
    DOWN,
    "ejected",
    "blocked",
    "probing",
    STALE,
    "sealed",
    "locked",
    "standby",
    "fenced",
)
ADMINISTRATIVE_STATES = (READY, "drain", "maintain")


class PathEntry:
    """One way to a node."""

    __slots__ = ("address", "link", "node", "reason", "up", "uplink")

    def __init__(self, node: "Node", uplink: str, address: str) -> None:
        self.node = node
        self.uplink = uplink
        self.address = address
        self.link: Link | None = None
        self.up = False
        self.reason = "not tried yet"


class Node:
    """One HSM node."""

    __slots__ = (
        "administrative",
        "boot_id",
        "failures",
        "in_flight",
        "link",
        "name",
        "operational",
        "paths",
        "reason",
        "reported",
        "requests",
        "site",
        "weight",
        "window",
    )

    def __init__(self, name: str, site: str, weight: int, paths: Iterable[tuple[str, str]]) -> None:
        self.name = name
        self.site = site
        self.weight = weight
        self.paths = [PathEntry(self, uplink, address) for uplink, address in paths]
        self.operational = DOWN
        self.administrative = READY
        self.reason = "not tried yet"
        self.reported = UP
        """The state that the node reports of itself."""
        self.boot_id = b""
        self.window = 0
        self.in_flight = 0
        self.requests = 0
        """Answers that this node gave to requests of clients."""
        self.failures = 0
        """Requests that had to leave this node."""
        self.link: Link | None = None
        """The link in use: that of the first path that is up."""


class StateChange(msgspec.Struct, frozen=True):
    """A change worth a line in the log."""

    node: str
    before: str
    after: str
    reason: str
    path: str = ""
    """The uplink, where a path changed and not the node."""


class NodeTable:
    """All nodes of the cluster."""

    __slots__ = ("_changes", "empty_since", "nodes", "rotation", "total_weight")

    def __init__(self, nodes: Iterable[Node], now: float) -> None:
        self.nodes = list(nodes)
        self.rotation: list[Node] = []
        self.total_weight = 0
        self.empty_since = now
        """Since when the rotation is empty, if it is."""
        self._changes: list[StateChange] = []

    @property
    def links(self) -> list[Link]:
        """All open links, in use or not."""
        return [path.link for node in self.nodes for path in node.paths if path.link is not None]

    def take_changes(self) -> list[StateChange]:
        """Return what changed since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def move(self, node: Node, now: float, reason: str, *, operational: str, administrative: str) -> None:
        """Put the node into these states, for that reason, and the rotation in order."""
        before = _words(node)
        node.operational = operational
        node.administrative = administrative
        node.reason = reason
        after = _words(node)
        if after != before:
            self._changes.append(StateChange(node.name, before, after, reason))
        node.link = next((path.link for path in node.paths if path.up), None)
        self._rotate(now)

    def path_up(self, link: Link, now: float) -> None:
        """Note that the link's path answers its checks."""
        path = link.path
        path.link = link
        path.reason = ""
        if not path.up:
            path.up = True
            self._changes.append(StateChange(path.node.name, DOWN, UP, "it answers its check", path.uplink))
        self._judge(path.node, now)

    def path_down(self, path: PathEntry, reason: str, now: float) -> None:
        """Note that a path cannot be used."""
        path.reason = reason
        if path.up:
            path.up = False
            self._changes.append(StateChange(path.node.name, UP, DOWN, reason, path.uplink))
        self._judge(path.node, now)

    def report(self, link: Link, pong: Pong, now: float) -> None:
        """Take over what a node says of itself."""
        node = link.node
        node.window = max(1, min(pong.window, link.max_in_flight))
        node.boot_id = pong.boot_id
        known = pong.administrative_state in ADMINISTRATIVE_STATES
        administrative = pong.administrative_state if known else node.administrative
        reported = pong.state if pong.state in OPERATIONAL_STATES else DOWN
        if (reported, administrative) != (node.reported, node.administrative):
            node.reported = reported
            self._judge(node, now, administrative)

    def _judge(self, node: Node, now: float, administrative: str | None = None) -> None:
        """Derive the operational state from the paths and the node's own report."""
        if any(path.up for path in node.paths):
            operational = node.reported
            reason = "" if operational == UP else f"the node reports that it is {operational}"
        else:
            operational = DOWN
            reason = "; ".join(f"{path.uplink}: {path.reason}" for path in node.paths)
        self.move(node, now, reason, operational=operational, administrative=administrative or node.administrative)

    def _rotate(self, now: float) -> None:
        usable = [node for node in self.nodes if node.administrative == READY and node.link is not None]
        rotation = [node for node in usable if node.operational == UP]
        if not rotation:
            rotation = [node for node in usable if node.operational == STALE]
        if self.rotation and not rotation:
            self.empty_since = now
        self.rotation = rotation
        self.total_weight = sum(node.weight for node in rotation)


def _words(node: Node) -> str:
    if node.administrative == READY:
        return node.operational
    return f"{node.operational}/{node.administrative}"
