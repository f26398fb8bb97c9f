"""Whether all nodes have been shown the same store: what they say of it in PONG, compared.

Theory. Whoever can write the store can show a node an older state of it, or one that lacks a record. A node that
remembers finds that itself; one that lost its memory, or is new, cannot. What another living node has seen tells,
and what one has seen that was lost a moment ago.

behind    Every writing of a record counts, and a node sums up what it has seen, so this sum only grows. A node whose
          sum (or revision) is smaller than what another one had seen some time before lacks something that is
          authentic: the store that it follows was rolled back, lacks a record, has an old one, or is late. That can
          be decided, so the node is `stale` to this proxy: it serves only while no other node can. A node that has
          the memory and an older store refuses what is older, so it goes on, unless another one has the newer store.
digest    Two nodes at the same revision with different digests were shown different stores. Nobody can say which one
          is right: both go on, and it is said loudly (docs/adr/0010).
cluster,  Two nodes of different stores, or of different epochs of one. It is said here; what follows, `epochs` decides.
epoch
"""

from math import inf
from typing import Final, NamedTuple

from hsm_wire.messages import Pong
from proxy.core.checks.sightings import Sightings
from proxy.core.nodes.node_table import DOWN, Node
from proxy.core.notices import Notices
from proxy.core.settings import Settings

BEHIND: Final = "behind"
DIGEST: Final = "digest"
CLUSTER: Final = "cluster"
EPOCH: Final = "epoch"
FAULTS: Final = (BEHIND, DIGEST, CLUSTER, EPOCH)
DISAGREEMENTS: Final = (DIGEST, CLUSTER, EPOCH)
LATE_SLACK_S: Final = 0.5
"""That a store between sites may need beyond two check intervals to show a node what another one has seen."""
WITNESS_S: Final = 60.0
"""For so long counts what a node has seen that cannot be reached any more: it may stand still, or be started again."""
REPEAT_S: Final = 300.0
"""Between two lines about the same fault of the same nodes, be it that it lasts or that it comes and goes."""
_NOUNS: Final = {DIGEST: "content", CLUSTER: "cluster", EPOCH: "epoch"}
_LINES: Final = {
    DIGEST: (
        "two nodes were shown different stores",
        "both serve: nobody can tell which one is right; compare the store with a backup, see docs/failure-modes.md",
    ),
    CLUSTER: ("two nodes follow different stores", "correct [store] in the node.toml of the one that is wrong"),
    EPOCH: ("two nodes follow different epochs of the store", "stop the one with the lower epoch"),
}

Key = tuple[str, Node, Node]
"""A fault and the nodes that have it; twice the same node where it has it alone."""


class _Lack(NamedTuple):
    """What a node has not been shown."""

    witness: str
    revision: int
    """That the witness has seen."""
    missing: int
    """Writings that the node has not seen."""
    outdated: bool
    """It may serve only while no other node can."""

    def words(self, applied: int) -> str:
        """Say it, for people."""
        if self.revision > applied:
            return f"its store is at revision {applied}, and {self.witness} has seen revision {self.revision}"
        return f"it lacks {self.missing} changes of the store that {self.witness} has seen"


class Agreement:
    """What all nodes say of the store."""

    def __init__(self, settings: Settings, notices: Notices) -> None:
        self._settings = settings
        self._notices = notices
        self._views: dict[Node, Sightings] = {}
        self._lacks: dict[Node, _Lack] = {}
        self._pairs: dict[Key, int] = {}
        """Disagreements, and the revision at which each was found."""
        self._told: dict[Key, float] = {}
        self._lasting: set[Key] = set()
        """Faults whose beginning was told."""

    def report(self, node: Node, pong: Pong, asked_at: float | None, now: float) -> list[Node]:
        """Take what a node says; return the nodes that became outdated by it, or are so no longer.

        Args:
            node: who says it.
            pong: what.
            asked_at: when the PING was sent that it answers; None where that is not known.
            now: the time.
        """
        self._forget_the_gone(node)
        if not pong.cluster_id:  # A node without a store, or of another make.
            self._drop(node)
        else:
            own = self._view(node, pong)
            own.take(pong, now, self._late_s)
            if asked_at is not None:
                node.lag_records = self._missing(node, own, asked_at)
                self._look_for_lacks(node, own, asked_at, now)
            for other, view in self._views.items():
                if other is not node and _connected(other):
                    self._compare(node, own, other, view)
        self._tell(now)
        return self._publish(node)

    def forget(self, node: Node) -> None:
        """Let go of a node that was taken out of the configuration."""
        self._drop(node)
        self._lasting = {key for key in self._lasting if node not in key}

    # ---- inside ---------------------------------------------------------------------------------------------------

    @property
    def _late_s(self) -> float:
        """How late a store may show a node what another one has seen."""
        health = self._settings.health
        return 2 * health.interval_s * (1 + health.jitter) + LATE_SLACK_S

    def _view(self, node: Node, pong: Pong) -> Sightings:
        view = self._views.get(node)
        if view is None or view.boot_id != pong.boot_id:
            self._drop(node)
            view = self._views[node] = Sightings(pong)
        elif node.operational == DOWN:
            view.proven = False
        return view

    def _forget_the_gone(self, speaker: Node) -> None:
        """Hold nothing against a node that cannot be reached."""
        gone = {node for node in self._views if node is not speaker and not _connected(node)}
        self._lacks = {node: lack for node, lack in self._lacks.items() if node not in gone}
        self._pairs = {key: found for key, found in self._pairs.items() if not gone.intersection(key[1:])}

    def _drop(self, node: Node) -> None:
        self._views.pop(node, None)
        self._lacks.pop(node, None)
        self._pairs = {key: found for key, found in self._pairs.items() if node not in key}
        self._told = {key: at for key, at in self._told.items() if node not in key}

    def _missing(self, node: Node, own: Sightings, asked_at: float) -> int:
        """Return how many writings a node lacks that another one had seen before it was asked."""
        others = [view for other, view in self._views.items() if other is not node and view.store == own.store]
        seen = max((view.known_before(asked_at).writes for view in others), default=0)
        return max(0, seen - own.last.seen_writes)

    def _look_for_lacks(self, node: Node, own: Sightings, asked_at: float, now: float) -> None:
        """Compare what a node has seen with what others had seen before it was asked."""
        self._lacks.pop(node, None)
        if not own.current:  # It says itself that it is stale.
            return
        pong = own.last
        by = asked_at - (self._late_s if own.proven else 0.0)
        others = [(other, view) for other, view in self._views.items() if other is not node and view.store == own.store]
        others = [(other, view) for other, view in others if _connected(other) or now - view.heard_at < WITNESS_S]
        seen = [(other.name, view.known_before(by)) for other, view in others]
        itself = "the node itself", own.known_before(by)  # Its store may show it late what it wrote itself.
        newest = max([*seen, itself], key=lambda row: row[1].revision)
        fullest = max(seen, key=lambda row: row[1].writes, default=newest)
        missing = max(0, fullest[1].writes - pong.seen_writes) if pong.seen_digest else 0
        late = newest[1].revision > pong.applied_revision
        if late or missing:
            ahead = any(
                view.current and view.last.applied_revision >= newest[1].revision
                for other, view in others
                if _connected(other)
            )
            witness = newest if late else fullest
            self._lacks[node] = _Lack(witness[0], newest[1].revision, missing, missing > 0 or (late and ahead))
        elif any(row.revision for _, row in seen):
            own.proven = True

    def _compare(self, one: Node, own: Sightings, two: Node, view: Sightings) -> None:
        """Find out whether two nodes disagree."""
        first, second = sorted((one, two), key=lambda node: node.name)
        revision = own.last.applied_revision
        found: str | None = ""
        if own.last.cluster_id != view.last.cluster_id:
            found = CLUSTER
        elif own.store != view.store:
            found = EPOCH
        else:
            digests = own.digest_at(revision) if own.current else None, view.digest_at(revision)
            if None in digests:
                found = None  # They cannot be compared now: what was found holds.
            elif digests[0] != digests[1]:
                found = DIGEST
        for fault in DISAGREEMENTS:
            key = fault, first, second
            if fault == found:
                self._pairs[key] = revision
            elif fault != DIGEST or (found is not None and revision >= self._pairs.get(key, 0)):
                self._pairs.pop(key, None)

    # ---- what follows ---------------------------------------------------------------------------------------------

    def _publish(self, speaker: Node) -> list[Node]:
        """Write down at each node what was found; return those whose part in the rotation changed."""
        changed = []
        for node in {**self._views, speaker: None}:
            lack = self._lacks.get(node)
            faults = {} if lack is None else {BEHIND: lack.words(self._applied(node))}
            for fault in DISAGREEMENTS:
                names = [name for name, pair in self._partners(node) if pair == fault]
                if names:
                    faults[fault] = f"its {_NOUNS[fault]} is not that of {', '.join(names)}"
            node.store_faults = faults
            outdated = lack.words(self._applied(node)) if lack is not None and lack.outdated else ""
            if bool(outdated) is not bool(node.outdated):
                changed.append(node)
            node.outdated = outdated
        return changed

    def _partners(self, node: Node) -> list[tuple[str, str]]:
        """Return who disagrees with a node, and about what."""
        pairs = [(fault, two if one is node else one) for fault, one, two in self._pairs if node in (one, two)]
        return sorted((other.name, fault) for fault, other in pairs)

    def _applied(self, node: Node) -> int:
        view = self._views.get(node)
        return 0 if view is None else view.last.applied_revision

    def _tell(self, now: float) -> None:
        """Have a line written where something begins, now and then while it lasts, and where it ends."""
        found: list[Key] = [*((BEHIND, node, node) for node in self._lacks), *self._pairs]
        for key in found:
            if now - self._told.get(key, -inf) >= REPEAT_S:
                self._told[key] = now
                self._lasting.add(key)
                self._say(key)
        for fault, one, two in self._lasting.difference(found):
            self._lasting.discard((fault, one, two))
            if fault == BEHIND:
                text = "a node lacks nothing of the store any more that another one has seen"
                self._notices.add(text, level="info", node=one.name)
            else:
                text = "two nodes agree about the store again, or one is gone"
                self._notices.add(text, level="info", nodes=_names(one, two))

    def _say(self, key: Key) -> None:
        fault, one, two = key
        if fault != BEHIND:
            text, what = _LINES[fault]
            self._notices.add(text, level="error", nodes=_names(one, two), revision=self._pairs[key], what=what)
            return
        lack = self._lacks[one]
        serves = "it serves only while no other node can" if lack.outdated else "it refuses the records that are older"
        self._notices.add(
            "a node's store lacks what another node has seen",
            level="error",
            node=one.name,
            seen_by=lack.witness,
            reason=lack.words(self._applied(one)),
            what=f"{serves}; put the newer store back, or find out why this one is late",
        )


def _connected(node: Node) -> bool:
    return any(path.link is not None for path in node.paths)


def _names(one: Node, two: Node) -> str:
    return f"{one.name}, {two.name}"
