"""Whom to believe about use: what is told of nodes and partitions that the configuration names, up to what a node could
do at most. Names that were made up must not count, nor take the place of true ones. Pure.

What is known already of a node that was taken out stays until it is a day old; a process that starts later does not
hear of it again. `since_s` is the operator's way to forget what somebody told wrongly.
"""

from collections.abc import Collection
from typing import Final

PERIOD_S: Final = 300
MAX_SIGNATURES: Final = 100_000 * PERIOD_S
"""Of a node and partition in one period: ten times of what any device does. Whoever tells of more is wrong."""
MAX_GENERATIONS: Final = 10_000 * PERIOD_S
"""The same: a store makes four thousand keys a second."""


class Claims:
    """What a process believes."""

    __slots__ = ("_nodes", "_partitions", "refused", "since")

    def __init__(self) -> None:
        """Believe everything that can be, until somebody says which names there are."""
        self._nodes: frozenset[str] | None = None
        self._partitions: frozenset[int] = frozenset()
        self.since = 0
        """Periods before it do not count."""
        self.refused = 0
        """Rows that were not believed."""

    def configure(self, nodes: Collection[str], partitions: Collection[int], since_s: float, period: int) -> None:
        """Believe what is told of these.

        Args:
            nodes: names.
            partitions: numbers.
            since_s: seconds since 1970; what was used in periods that began before does not count.
            period: that runs. If all of it were still to come, nothing would be counted until then.
        """
        self._nodes, self._partitions = frozenset(nodes), frozenset(partitions)
        self.since = min(-(-int(since_s) // PERIOD_S), period + 1)

    def are_known(self, node: str, partition: int) -> bool:
        """Whether there are such a node and partition."""
        return self._nodes is None or (node in self._nodes and partition in self._partitions)


def can_be(signatures: int, generations: int) -> bool:
    """Whether a node can have done that in one period."""
    return signatures <= MAX_SIGNATURES and generations <= MAX_GENERATIONS
