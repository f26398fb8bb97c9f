"""Nodes, their paths and their states. `NodeTable.move` is the one function that changes a node's state.

A node has two states: the administrative one is what the operator wants, the operational one is what is seen.
It is in rotation when it is `ready` and `up` and has a path that is up. Nodes that are `stale` (without contact
to their store) serve only while no current node can; nodes that are `lacking` (they cannot use all keys that are
stored) while none is up, before those that are stale.

What is seen comes from three sides: from the paths (none up: `down`), from the node's own report (`stale`, `sealed`,
`standby`...), and from what `supervisor` concludes (`sanction`: ejected, blocked, probing; `outdated`: stale).
"""

from collections.abc import Iterable, Sequence
from typing import Final

from hsm_wire.messages import Pong, StoreMember
from proxy.core.changes import StateChange, short_reason
from proxy.core.counters import DURATION_BOUNDS_S
from proxy.core.nodes.nearness import prefer_near
from proxy.core.nodes.pings import Pings
from proxy.core.parties import Link
from proxy.core.settings import Settings

UP: Final = "up"
DOWN: Final = "down"
EJECTED: Final = "ejected"
BLOCKED: Final = "blocked"
PROBING: Final = "probing"
STALE: Final = "stale"
LACKING: Final = "lacking"
READY: Final = "ready"
NOT_TRIED: Final = "not tried yet"
MAINTAIN: Final = "maintain"
STANDBY: Final = "standby"
FENCED: Final = "fenced"
OPERATIONAL_STATES: Final = (UP, DOWN, EJECTED, BLOCKED, PROBING, STALE, LACKING, "sealed", "locked", STANDBY, FENCED)
ADMINISTRATIVE_STATES: Final = (READY, "drain", MAINTAIN)


class PathEntry:
    """One way to a node."""

    __slots__ = ("_requests_before", "address", "bulk", "link", "node", "reason", "up", "uplink")

    def __init__(self, node: "Node", uplink: str, address: str) -> None:
        self.node = node
        self.uplink = uplink
        self.address = address
        self.link: Link | None = None
        """For small requests and checks."""
        self.bulk: Link | None = None
        """For large ones; where there is none they go over `link`."""
        self.up = False
        self.reason = NOT_TRIED
        self._requests_before = 0
        """Of links that are gone."""

    @property
    def requests(self) -> int:
        """How many requests of clients were sent over it, those that were sent again too."""
        return self._requests_before + sum(link.requests for link in (self.link, self.bulk) if link is not None)

    def drop(self, link: Link) -> None:
        """Let go of a link of this path; what went over it stays counted."""
        self._requests_before += link.requests
        if self.bulk is link:
            self.bulk = None
        else:
            self.link = None


class Node:
    """One HSM node."""

    __slots__ = (
        "administrative",
        "answer_time_s",
        "answers",
        "backend",
        "boot_id",
        "bulk",
        "distance",
        "duration_buckets",
        "errors",
        "errors_in_a_row",
        "failures",
        "fenced",
        "in_flight",
        "lag_records",
        "lag_s",
        "left_at",
        "link",
        "name",
        "nodes_out",
        "on_the_way",
        "operational",
        "outdated",
        "paths",
        "pings",
        "reason",
        "recovers",
        "reported",
        "requests",
        "said",
        "sanction",
        "share",
        "since",
        "site",
        "slowness",
        "store_faults",
        "store_members",
        "suspects",
        "warm_since",
        "weight",
        "window",
    )

    def __init__(self, name: str, site: str, weight: int, paths: Iterable[tuple[str, str]]) -> None:
        self.name = name
        self.site = site
        self.weight = weight
        self.paths = [PathEntry(self, uplink, address) for uplink, address in paths]
        self.pings = Pings()
        """Over all links."""
        self.operational = DOWN
        self.administrative = READY
        self.reason = NOT_TRIED
        self.reported = UP
        """The state that the node reports of itself."""
        self.said = ""
        """Why, in its words; empty: it does not say."""
        self.backend = ""
        """Where its keys are, as it says."""
        self.sanction = ""
        """ejected, blocked or probing: what `supervisor` concluded; empty while all is well."""
        self.outdated = ""
        """What another node has seen and this one has not (`agreement`): it is `stale` for that. Empty: nothing."""
        self.fenced = ""
        """Why nothing of it may be used (`epochs`). Empty: it may."""
        self.store_faults: dict[str, str] = {}
        """Fault -> words: what comparing its store with those of other nodes found."""
        self.lag_records: int | None = None
        """How many writings of records it lacks, as `agreement` has found; None: nobody knows."""
        self.lag_s: float | None = None
        """How old its copy of the store is, as it says; None: it has not said."""
        self.nodes_out: Sequence[str] = ()
        """Nodes that changes name, as it says."""
        self.store_members: Sequence[StoreMember] = ()
        """How it sees the members of the store."""
        self.boot_id = b""
        self.window = 0
        self.on_the_way = 0
        """Requests and answers that the way to the node and back holds at its present rate."""
        self.in_flight = 0
        self.suspects = 0
        """Of these, requests that were in flight when a node was lost (`poison`)."""
        self.requests = 0
        """Answers that this node gave to requests of clients."""
        self.failures: dict[str, int] = {}
        """Reason -> requests that had to leave this node."""
        self.answers = 0
        """All answers, those that sent a request elsewhere too."""
        self.answer_time_s = 0.0
        """Sum over the answers of the time that each took."""
        self.duration_buckets = [0] * (len(DURATION_BOUNDS_S) + 1)
        """These times by `DURATION_BOUNDS_S`."""
        self.errors = 0
        """Time-outs, device errors and answers lost with their connection: what may eject the node."""
        self.errors_in_a_row = 0
        self.link: Link | None = None
        """The link in use: that of the first path that is up."""
        self.bulk: Link | None = None
        """The same for large requests."""
        self.share = 0.0
        """Its part of the draw: its weight, less while it starts slowly or is slow."""
        self.distance = 0.0
        """Of its site from the proxy's own, in km."""
        self.recovers = False
        """Its site is for disaster recovery."""
        self.slowness = 1.0
        """Factor of the share, below 1 for a node that is slower than the others."""
        self.warm_since = 0.0
        """Since when it grows to its full share."""
        self.since = 0.0
        """When its states last changed."""
        self.left_at: float | None = None
        """When it last left the rotation."""

    @property
    def reached(self) -> bool:
        """Whether it answers over some path."""
        return any(path.up for path in self.paths)

    def lacks_store(self, settings: Settings) -> bool:
        """Say whether its store has not answered for so long that requests for keys it does not know may stand still:
        it asks there before it says so. A device that is blocked meanwhile is left to the deep check."""
        return self.lag_s is not None and self.lag_s >= settings.health.blocked_s

    @property
    def why(self) -> str:
        """Why it is as it is, in few words; empty when all is well."""
        return (self.operational == DOWN and short_reason([path.reason for path in self.paths])) or self.reason


class NodeTable:
    """All nodes of the cluster."""

    __slots__ = ("_changes", "_settings", "_started", "empty_since", "nodes", "rotation", "total")

    def __init__(self, nodes: Iterable[Node], settings: Settings, now: float) -> None:
        self.nodes = list(nodes)
        self.rotation: list[Node] = []
        self.total = 0.0
        """Sum of the shares of the rotation."""
        self.empty_since = now
        """Since when the rotation is empty, if it is."""
        self._started = now
        self._settings = settings
        self._changes: list[StateChange] = []
        for node in self.nodes:
            node.since = now

    @property
    def links(self) -> list[Link]:
        """All open links, in use or not."""
        return [
            link for node in self.nodes for path in node.paths for link in (path.link, path.bulk) if link is not None
        ]

    @property
    def reachable(self) -> list[Node]:
        """Nodes that could serve, whatever the operator wants of them."""
        return [node for node in self.nodes if node.link is not None and node.operational in (UP, LACKING)]

    @property
    def at_dr_site(self) -> list[Node]:
        """Nodes of the DR site that answer, whether they serve or stand by."""
        return [node for node in self.nodes if node.recovers and node.link is not None]

    @property
    def hurries(self) -> bool:
        """Whether nobody serves, or none of those that do is current: then all are asked as often as may be."""
        return not self.rotation or not self.reachable

    @property
    def outage(self) -> str:
        """Why nobody serves, in words for a client."""
        if self.reachable:
            return "every HSM node that can be reached was taken out of service by an operator"
        return "no HSM node can be reached"

    def spares(self, node: Node) -> bool:
        """Say whether another node is in rotation, so that this one can be taken out."""
        return any(other is not node for other in self.rotation)

    def replace(self, nodes: Iterable[Node], now: float) -> list[Node]:
        """Take these nodes in place of those there are; return the ones that are gone."""
        kept = list(nodes)
        gone = [node for node in self.nodes if node not in kept]
        for node in kept:
            if node not in self.nodes:
                node.since = now
        self.nodes = kept
        self._rotate(now)
        return gone

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
        served, left_at = node in self.rotation, node.left_at
        first = next((path for path in node.paths if path.up), None)
        node.link = None if first is None else first.link
        node.bulk = None if first is None else first.bulk or first.link
        self._rotate(now)
        if after != before:
            node.since = now
            usual = "its checks succeed" if administrative == READY else "an operator asked for it"
            serves = node in self.rotation
            self._changes.append(
                StateChange(
                    node.name,
                    before,
                    after,
                    reason or usual,
                    why=node.why,
                    served=served,
                    serves=serves,
                    out_s=now - left_at if serves and left_at is not None else None,
                )
            )

    def path_up(self, link: Link, now: float) -> None:
        """Note that the link's path answers its checks."""
        path = link.path
        path.link = link
        path.reason = ""
        if not path.up:
            path.up = True
            self._changes.append(StateChange(path.node.name, DOWN, UP, "it answers its check", path.uplink))
        self.judge(path.node, now)

    def path_down(self, path: PathEntry, reason: str, now: float) -> None:
        """Note that a path cannot be used."""
        path.reason = reason
        if path.up:
            path.up = False
            self._changes.append(StateChange(path.node.name, UP, DOWN, reason, path.uplink))
        self.judge(path.node, now)

    def report(self, link: Link, pong: Pong, now: float) -> None:
        """Take over what a node says of itself."""
        node = link.node
        # The node knows what it wants to have; what is on the way to it, and back, comes on top (Little's law). It
        # counts a proxy once, however many workers that has.
        wanted = self._settings.portion.count(pong.window)
        node.window = max(1, min(wanted + node.on_the_way, link.max_in_flight))
        node.boot_id = pong.boot_id
        node.lag_s = None if pong.lag_ms is None else pong.lag_ms / 1000
        node.nodes_out, node.store_members = pong.nodes_out, pong.store_members
        known = pong.administrative_state in ADMINISTRATIVE_STATES
        administrative = pong.administrative_state if known else node.administrative
        reported = pong.state if pong.state in OPERATIONAL_STATES else DOWN
        node.backend = pong.backend
        if (reported, administrative, pong.reason) != (node.reported, node.administrative, node.said):
            node.reported, node.said = reported, pong.reason
            self.judge(node, now, administrative)

    def impose(self, node: Node, sanction: str, reason: str, now: float) -> None:
        """Put the node under a sanction, or lift it (empty)."""
        node.sanction = sanction
        self.judge(node, now, reason=reason)

    def judge(self, node: Node, now: float, administrative: str | None = None, *, reason: str = "") -> None:
        """Derive the operational state: from the paths, from the node's own report, from its sanction."""
        if not any(path.up for path in node.paths):
            operational = DOWN
            reason = "; ".join(f"{path.uplink}: {path.reason}" for path in node.paths)
        elif node.fenced:
            operational = FENCED
            reason = node.fenced
        elif node.reported != UP:
            operational = node.reported
            reason = node.said or f"the node reports that it is {operational}"
        elif node.sanction:
            operational = node.sanction
            reason = reason or node.reason
        elif node.outdated:
            operational = STALE
            reason = node.outdated
        else:
            operational = UP
            reason = ""
        self.move(node, now, reason, operational=operational, administrative=administrative or node.administrative)

    def warm(self, now: float) -> None:
        """Give each node in rotation its share: its weight, less while it starts slowly or is slow."""
        health = self._settings.health
        for node in self.rotation:
            grown = 1.0
            if health.slow_start_s:
                passed = min(1.0, (now - node.warm_since) / health.slow_start_s)
                grown = health.slow_start_from + (1.0 - health.slow_start_from) * passed
            node.share = node.weight * grown * node.slowness
        if self._settings.balancing.prefer == "near":
            prefer_near(self.rotation)
        self.total = sum(node.share for node in self.rotation)

    def _rotate(self, now: float) -> None:
        usable = [node for node in self.nodes if node.administrative == READY and node.link is not None]
        rotation = [node for node in usable if node.operational == UP]
        for second in (LACKING, STALE):
            rotation = rotation or [node for node in usable if node.operational == second]
        before = self.rotation
        if before and not rotation:
            self.empty_since = now
        for node in before:
            if node not in rotation:
                node.left_at = now
        for node in rotation:
            if node not in before:
                # Nobody can take its part where no other node serves, nor while the proxy itself has just started.
                cold = bool(before) and now - self._started > self._settings.health.slow_start_s
                node.warm_since = now if cold else float("-inf")
        self.rotation = rotation
        self.warm(now)


def _words(node: Node) -> str:
    if node.administrative == READY:
        return node.operational
    return f"{node.operational}/{node.administrative}"
