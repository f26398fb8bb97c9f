"""Events of a proxy with workers: each is told to the parent, which numbers it once and tells it to all workers.

What happens to a node is seen by every worker, within a second or so: that is one event. What one worker tells twice
happened twice.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from hsm_wire.messages import EventReport
from proxy.core.reporting.events import RecentEvents

SAME_S: Final = 5.0
"""In which workers find out the same thing: twice what three checks and a silence take."""
MAX_KINDS: Final = 512
"""Different events that are remembered for that long."""


Tell = Callable[[float, str, str, str, str], None]
"""Brings an event to the parent: when, how severe, what, of which site and node."""


class _Kind(NamedTuple):
    severity: str
    what: str
    node: str


class Ledger:
    """The parent's: what happened, by whoever told it first."""

    def __init__(self) -> None:
        self.events = RecentEvents()
        self._lately: OrderedDict[_Kind, tuple[float, set[int]]] = OrderedDict()

    def tell(self, worker: int, at: float, severity: str, what: str, *, site: str = "", node: str = "") -> bool:
        """Take an event from a worker (0: from the parent itself); False where another one has told it already."""
        kind = _Kind(severity, what, node)
        first_at, who = self._lately.get(kind, (float("-inf"), set()))
        if at - first_at <= SAME_S and worker not in who:
            who.add(worker)
            return False
        self._lately[kind] = (at, {worker})
        self._lately.move_to_end(kind)
        while len(self._lately) > MAX_KINDS:
            self._lately.popitem(last=False)
        self.events.add(at, severity, what, site=site, node=node)
        return True

    @property
    def newest(self) -> EventReport:
        """The event that was taken last."""
        return self.events.after(0, 1)[0]


class Copy(RecentEvents):
    """A worker's: what the parent has numbered. What happens here goes to the parent, and comes back."""

    __slots__ = ("_tell",)

    def __init__(self, known: Iterable[EventReport], tell: Tell) -> None:
        """Begin with what is known already; `tell` brings an event to the parent."""
        super().__init__()
        self._tell = tell
        for event in known:
            self.keep(event)

    def add(self, at: float, severity: str, what: str, *, site: str = "", node: str = "") -> None:
        """Tell the parent of one."""
        self._tell(at, severity, what, site, node)

    def keep(self, event: EventReport) -> None:
        """Remember one that the parent has numbered."""
        self.newest = event.number
        self._kept.append(event)
