"""Alive but blocked: a node that answers PING and finishes nothing (design.md section 5, `blocked`)."""

from proxy.core.checks.silence import links_of
from proxy.core.nodes.node_table import Node
from proxy.core.parties import Owed, Probe
from proxy.core.settings import Settings


def oldest_ordinary(node: Node) -> float | None:
    """Return when the oldest request was sent that the node owes, those left out that run long by nature or wait for
    the store: another node's lock there would make every node look blocked.

    One that was given up there counts too: where all deadlines are short, nothing else shows that a node is blocked.
    """
    return _oldest(node, changes=False)


def oldest_short(node: Node) -> float | None:
    """Return the same with the changes of keys: what says that a closer look is due, and nothing more."""
    return _oldest(node, changes=True)


def _oldest(node: Node, *, changes: bool) -> float | None:
    oldest: float | None = None
    for link in links_of(node):
        for entry in link.in_flight.values():  # in the order of sending: the first that counts is the link's oldest
            if isinstance(entry, Probe):
                continue
            handling = (entry.request if isinstance(entry, Owed) else entry).handling
            if not handling.long and (changes or not handling.change):
                oldest = entry.sent_at if oldest is None else min(oldest, entry.sent_at)
                break
    return oldest


class Progress:
    """What the PONGs of one node say of its work."""

    __slots__ = ("_completed", "_since")

    def __init__(self) -> None:
        self._completed = -1
        self._since = 0.0

    def forgive(self) -> None:
        """Begin anew: the proxy itself stood still, and the next PONG may be from before that."""
        self._completed = -1

    def stands_still(self, completed: int, oldest: float | None, settings: Settings, now: float) -> bool:
        """Note a PONG; say whether the node had work all the time since an earlier one and finished none of it."""
        if completed != self._completed or oldest is None or oldest > self._since:
            self._completed = completed
            self._since = now
            return False
        return now - self._since >= settings.health.blocked_s
