"""What happened lately: a ring of events, the oldest of which are forgotten. EVENTS and `/status` show them.

Each is kept as the wire has it: whoever asks for all of them, again and again, costs the proxy next to nothing.
"""

from collections import deque
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from hsm_wire.limits import MAX_EVENTS_LIMIT, MAX_NAME_CHARACTERS
from hsm_wire.messages import EventReport

MAX_EVENTS: Final = MAX_EVENTS_LIMIT
"""Kept at a time: those of a bad hour, and one answer to EVENTS can hold them. 200 KiB."""


def time_words(seconds: float) -> str:
    """Return a time (RFC 3339, UTC) for seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


class RecentEvents:
    """Those that are remembered."""

    __slots__ = ("_kept", "newest")

    def __init__(self) -> None:
        self._kept: deque[EventReport] = deque(maxlen=MAX_EVENTS)
        self.newest = 0
        """Number of the newest one; they are counted from 1."""

    def add(self, at: float, severity: str, what: str, *, site: str = "", node: str = "") -> None:
        """Remember one; `at` is in seconds since 1970. A reason that a peer gave may be too long for the wire."""
        self.newest += 1
        what = what[:MAX_NAME_CHARACTERS]
        self._kept.append(EventReport(self.newest, time_words(at), severity, site, node, what))

    def after(self, number: int, limit: int) -> list[EventReport]:
        """Return what follows that number, oldest first and at most `limit`; of 0, the newest ones.

        Nothing is left out between two calls, unless it was forgotten before it was asked for.
        """
        kept = self._kept
        if not number:
            return list(islice(kept, max(0, len(kept) - limit), None))
        oldest = self.newest - len(kept) + 1
        first = max(0, number + 1 - oldest)
        return list(islice(kept, first, first + limit))
