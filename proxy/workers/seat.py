"""A worker's place in its proxy, as the rest of the proxy sees it."""

from collections.abc import Callable

from hsm_daemon.accepting import Neighbours
from hsm_wire.messages import StatusResult
from proxy.core.reporting.rates import Traffic
from proxy.core.settings import Portion
from proxy.seat import Seat
from proxy.workers.courtesy import Courtesy
from proxy.workers.ledger import Copy
from proxy.workers.loads import Load, load_of, whole
from proxy.workers.messages import Begin, Changed, Message, Told


class WorkerSeat(Seat):
    """One of several."""

    has_admin = False

    def __init__(self, begin: Begin, send: Callable[[Message], object]) -> None:
        """Take the place that the parent's first message gives; `send` brings a message to the parent."""
        self.portion = Portion(begin.number, begin.of)
        self.age_s = begin.age_s
        self.copy = Copy(begin.events, self._tell)
        self.events = self.copy
        self.courtesy = Courtesy()
        self.others: list[Load] = []
        """What the others do, as they said last."""
        self.counted: Callable[[], tuple[int, int]] = lambda: (0, 0)
        """Returns the requests and failovers of this worker."""
        self.load: Load | None = None
        """What this one does, as of its last report."""
        self._send = send

    def _tell(self, at: float, severity: str, what: str, site: str, node: str) -> None:
        self._send(Told(at, severity, what, site, node))

    def changed(self, node: str) -> None:
        """Have the other workers look at that node."""
        self._send(Changed(node))

    def neighbours(self) -> Neighbours | None:
        """Return the other workers."""
        return self.courtesy

    def whole(self, own: StatusResult, traffic: Traffic) -> StatusResult:
        """Return the report of all workers."""
        self.load = load_of(own, traffic, *self.counted())
        return whole(own, traffic, self.others)

    def totals(self, requests: int, failovers: int) -> tuple[int, int]:
        """Return those of all workers."""
        return (
            requests + sum(load.requests for load in self.others),
            failovers + sum(load.failovers for load in self.others),
        )
