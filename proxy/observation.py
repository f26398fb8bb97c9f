"""What this proxy finds out about the load and about itself: rates, overload, the end of its certificate. Looked at in
the ticker's beat; a request pays nothing for it."""

from hsm_daemon import clock
from proxy.core.reporting.expiry import Expiry
from proxy.core.reporting.health import problems_of_proxy
from proxy.core.reporting.overload import Overload
from proxy.core.reporting.rates import Rates
from proxy.core.requests.dispatcher import Dispatcher


class Observation:
    """All of it."""

    def __init__(self, dispatcher: Dispatcher, now: float) -> None:
        self.rates = Rates(dispatcher.counters, dispatcher.table, now)
        self.validity: tuple[float, float] | None = None
        """Begin and end of this proxy's certificate in seconds since 1970; None without TLS."""
        self.reload_failed = False
        """The newest configuration has a fault, and an older one is in use."""
        self._counters = dispatcher.counters
        self._overload = Overload(dispatcher.notices)
        self._expiry = Expiry(dispatcher.notices)

    def tick(self, now: float) -> None:
        """Look, where it is time."""
        self.rates.tick(now)
        self._overload.tick(self._counters.overloaded, now)
        self._expiry.tick(self.validity, clock.now(), now)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong now, a sentence each."""
        return tuple(
            problems_of_proxy(
                overload=self._overload.reason,
                urgent_s=self._expiry.urgent_s,
                reload_failed=self.reload_failed,
            )
        )
