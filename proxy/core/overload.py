"""Overload as a state: it begins with the first request that the cluster has no room for, and ends when none has
been refused for a while. What one client does beyond its own limits is not overload of the cluster."""

from collections.abc import Mapping
from typing import Final

from proxy.core.notices import Notices

QUIET_S: Final = 10.0
"""Without a refusal; then it is over."""
REASONS: Final = ("failover_full", "queue_full", "queue_too_long", "windows_full")
"""Limits of `counters.OVERLOAD_REASONS` that all clients share."""


class Overload:
    """Says when it begins and ends."""

    __slots__ = ("_began_at", "_began_with", "_notices", "_refused", "_seen_at", "reason")

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._refused = 0
        self._began_with = 0
        self._began_at = self._seen_at = 0.0
        self.reason = ""
        """The limit that was met first, while it lasts."""

    def tick(self, counts: Mapping[str, int], now: float) -> None:
        """Look at the counts of refused requests, by limit."""
        refused = sum(counts[reason] for reason in REASONS)
        if refused > self._refused:
            self._seen_at = now
            if not self.reason:
                self.reason = max(REASONS, key=lambda reason: counts[reason])
                self._began_at, self._began_with = now, self._refused
                self._notices.add("overload begins", reason=self.reason)
        elif self.reason and now - self._seen_at >= QUIET_S:
            self.reason = ""
            self._notices.add(
                "overload is over",
                level="info",
                refused=refused - self._began_with,
                for_s=round(self._seen_at - self._began_at, 3),
            )
        self._refused = refused
