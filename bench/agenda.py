"""Virtual time for the studies of scale: events in their order, and stations where work queues."""

import heapq
from collections.abc import Callable
from typing import Any, Final

BEGIN_S: Final = 100.0
"""Of the clock: to the proxy's core 0 means never."""


class Agenda:
    """What happens next. Events of the same time happen in the order in which they were made."""

    __slots__ = ("_events", "_next", "now")

    def __init__(self) -> None:
        self.now = BEGIN_S
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._next = 0

    def at(self, when: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call that at `when`."""
        self._next += 1
        heapq.heappush(self._events, (when, self._next, call, arguments))

    def after(self, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call that after a while."""
        self.at(self.now + seconds, call, *arguments)

    def run(self, until: float) -> None:
        """Let the time pass."""
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, call, arguments = heapq.heappop(events)
            call(*arguments)
        self.now = max(self.now, until)


class Station:
    """Some servers, first come first served: an event loop is one, the sessions of a node are several."""

    __slots__ = ("_free_at", "busy_s")

    def __init__(self, servers: int = 1) -> None:
        self._free_at = [0.0] * servers
        self.busy_s = 0.0
        """Of all of them together."""

    def done_at(self, arrives: float, seconds: float) -> float:
        """Take work that arrives then and takes so long; return when it is done. Callers come in order of arrival."""
        begins = max(arrives, self._free_at[0])
        done = begins + seconds
        heapq.heapreplace(self._free_at, done)
        self.busy_s += seconds
        return done
