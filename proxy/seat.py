"""Where one process sits in a proxy: alone, or as a worker among others (`workers`), who then overrides this."""

from hsm_daemon.accepting import Neighbours
from hsm_wire.messages import StatusResult
from proxy.core.reporting.events import RecentEvents
from proxy.core.reporting.rates import Traffic
from proxy.core.settings import Portion


class Seat:
    """A process that is the whole proxy."""

    portion = Portion()
    """Of limits and windows."""
    has_admin = True
    """It serves the admin pages itself."""
    age_s = 0.0
    """For how long the proxy has run when this process starts."""

    def __init__(self) -> None:
        self.events = RecentEvents()

    def changed(self, node: str) -> None:
        """Note that a state of that node has changed."""

    def neighbours(self) -> Neighbours | None:
        """Return who else accepts clients on the same socket."""
        return None

    def whole(self, own: StatusResult, traffic: Traffic) -> StatusResult:
        """Return the report of the whole proxy: this process's own, with what the others do."""
        del traffic
        return own

    def totals(self, requests: int, failovers: int) -> tuple[int, int]:
        """Return how many of each the whole proxy has had, given this process's own."""
        return requests, failovers
