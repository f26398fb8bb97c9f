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

    __slots__ = ("_began_at", "_began_with", "_notices", "_seen", "_seen_at", "reason")

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._seen = dict.fromkeys(REASONS, 0)
        self._began_with = 0
        self._began_at = self._seen_at = 0.0
        self.reason = ""
        """The limit that was met first, while it lasts."""

    def tick(self, counts: Mapping[str, int], now: float) -> None:
        """Look at the counts of refused requests, by limit."""
        before = self._seen
        grown = {reason: counts[reason] - before[reason] for reason in REASONS}
        if any(grown.values()):
            self._seen_at = now
            if not self.reason:
                self.reason = max(REASONS, key=lambda reason: grown[reason])
                self._began_at, self._began_with = now, sum(before.values())
                self._notices.add("overload begins", reason=self.reason)
            self._seen = {reason: counts[reason] for reason in REASONS}
        elif self.reason and now - self._seen_at >= QUIET_S:
            self.reason = ""
            refused, for_s = sum(before.values()) - self._began_with, round(self._seen_at - self._began_at, 3)
            self._notices.add("overload is over", level="info", refused=refused, for_s=for_s)
