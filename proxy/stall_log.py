"""Tells that the proxy itself stood still: latencies and lost checks of that time are not the nodes' fault."""

from typing import Final

from hsm_daemon import logs
from hsm_daemon.log_limit import LimitedLog
from proxy.core.checks.supervisor import Supervisor
from proxy.core.reporting.sentences import STOOD_STILL, sentence
from proxy.net.journal import Journal

EVENTS_S: Final = 60.0
"""Between two events: on a machine without CPU they would be all that is remembered."""
_log = logs.logger("proxy")


class StallLog:
    """Writes a line for each stall that the supervisor has seen, and now and then an event."""

    def __init__(self, supervisor: Supervisor, journal: Journal, now: float) -> None:
        self._supervisor = supervisor
        self._journal = journal
        self._seen = supervisor.stalls
        self._beat_at = now
        self._told_at = float("-inf")
        self._limited = LimitedLog(_log, 1)

    def tick(self, now: float) -> None:
        """Look whether there was one since the last beat."""
        if self._supervisor.stalls != self._seen:
            self._seen = self._supervisor.stalls
            what = "give it more CPU, or look for what blocks it: swapping, a suspended machine"
            fields = {"for_s": round(now - self._beat_at, 3), "stalls": self._seen, "what": what}
            self._limited.event("warning", STOOD_STILL, **fields)
            if now - self._told_at >= EVENTS_S:
                self._told_at = now
                self._journal.remember("warning", sentence(STOOD_STILL, fields))
        self._beat_at = now
