"""Which nodes follow a store that the DR site has left behind (docs/consistency.md, c4).

Theory. Who has seen a promotion must take nothing from before it. So the highest epoch that any node has told counts,
for the life of the cluster: it is on disk before anything follows from it. A node of a lower one is fenced, whatever it
says of itself. A node closes its links when its epoch changes, so what comes over a link is of the epoch that its PONGs
name: a link of a lower one is dropped with all that is owed on it.
"""

from collections.abc import Callable
from typing import Final

from hsm_wire.messages import Pong
from proxy.core.nodes.node_table import Node
from proxy.core.notices import Notices

Keep = Callable[[bytes, int], str]
"""Writes cluster id and epoch to this host's disk; returns what is wrong, in words, where it cannot."""

ANOTHER_STORE: Final = (
    "its store is another one than this proxy has seen before; if that is meant, remove epoch.json from the proxy's "
    "state_dir and restart it"
)
"""Why a node is fenced whose cluster is another one."""


class Epochs:
    """What was seen of epochs."""

    def __init__(self, notices: Notices) -> None:
        """Know of none."""
        self._notices = notices
        self._keep: Keep = _nowhere
        self.cluster_id = b""
        self.epoch = 0
        """The highest that was seen; 0: none was."""
        self._from_disk = False
        self._said: dict[Node, Pong] = {}

    def remember(self, cluster_id: bytes, epoch: int, keep: Keep) -> None:
        """Take what this host has seen before (0: nothing), and where to keep what is seen from now on."""
        self.cluster_id, self.epoch, self._keep = cluster_id, epoch, keep
        self._from_disk = epoch > 0

    def take(self, node: Node, pong: Pong) -> list[Node]:
        """Take what a node says; return the nodes that are fenced by it, or are so no longer."""
        if not pong.cluster_id:  # It follows no store.
            self._said.pop(node, None)
            return self._judge([node])
        self._said[node] = pong
        if not self.epoch or (pong.cluster_id == self.cluster_id and pong.epoch > self.epoch):
            self._rise(node, pong)
            return self._judge([*self._said])
        return self._judge([node])

    def forget(self, node: Node) -> None:
        """Let go of a node that was taken out of the configuration."""
        self._said.pop(node, None)

    def _rise(self, node: Node, pong: Pong) -> None:
        before = self.epoch
        self.cluster_id, self.epoch = pong.cluster_id, pong.epoch
        wrong = self._keep(pong.cluster_id, pong.epoch)
        if wrong:
            what = "nodes of a lower one are fenced, but a restart of this proxy forgets it; put state_dir right"
            self._notices.add("an epoch cannot be kept", level="error", epoch=pong.epoch, reason=wrong, what=what)
        if before:
            what = "the DR site was promoted; nodes of the epoch before are fenced"
            self._notices.add("the cluster has a new epoch", epoch=pong.epoch, node=node.name, what=what)

    def _judge(self, nodes: list[Node]) -> list[Node]:
        changed = []
        for node in nodes:
            fenced = self._wrong_with(self._said.get(node))
            if fenced != node.fenced:
                node.fenced = fenced
                changed.append(node)
        return changed

    def _wrong_with(self, pong: Pong | None) -> str:
        if pong is None:
            return ""
        if pong.cluster_id != self.cluster_id:
            # Without a memory nobody can tell which one is right (docs/adr/0010).
            return ANOTHER_STORE if self._from_disk else ""
        if pong.epoch < self.epoch:
            return f"its store has epoch {pong.epoch}, and epoch {self.epoch} was seen: the DR site was promoted"
        return ""


def _nowhere(_cluster_id: bytes, _epoch: int) -> str:
    """Keep nothing."""
    return ""
