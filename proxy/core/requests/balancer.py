"""The draw: one random node per request, by its share, among those in rotation below their window.

A node that is alive but slow fills its window and gets no more, so it cannot gather the whole load (design.md
section 2). While no window binds, every node gets its share, whoever asks.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from proxy.core.nodes.node_table import Node, NodeTable


class Chance(Protocol):
    """Where the draw takes its chance from: `random.Random` has this method."""

    def random(self) -> float:
        """Return a number in [0, 1)."""


class Balancer:
    """Draws nodes out of the table's rotation."""

    __slots__ = ("_random", "_table")

    def __init__(self, table: NodeTable, chance: Chance) -> None:
        self._table = table
        self._random = chance.random

    def maybe_node(self, tried: Sequence[Node] = ()) -> Node | None:
        """Return a node for a request that `tried` could not serve, None when all others are at their window."""
        table = self._table
        rotation = table.rotation
        if not rotation:
            return None
        # Drawing over all first and over the eligible ones only after a miss gives the same odds as the latter
        # alone, and costs no list while no window binds. `_pick` written out: it is called for every request.
        point = self._random() * table.total
        for node in rotation:
            point -= node.share
            if point < 0:
                break
        if node.in_flight < node.window and not (tried and node in tried):
            return node
        return self.maybe_among(node for node in rotation if node not in tried)

    def maybe_among(self, nodes: Iterable[Node]) -> Node | None:
        """Return one of these nodes that has room."""
        eligible = [node for node in nodes if node.in_flight < node.window]
        if not eligible:
            return None
        return _pick(eligible, sum(node.share for node in eligible), self._random())

    def has_untried(self, tried: Sequence[Node]) -> bool:
        """Say whether the rotation has a node that is not in `tried`, be it at its window."""
        return any(node not in tried for node in self._table.rotation)


def _pick(nodes: Sequence[Node], total: float, chance: float) -> Node:
    point = chance * total
    for node in nodes:
        point -= node.share
        if point < 0:
            return node
    return nodes[-1]  # rounding at the very end of the range
