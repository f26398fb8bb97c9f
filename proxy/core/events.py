"""What happened lately: a ring of events, the oldest of which are forgotten. STATUS, EVENTS and `/status` show them."""

from collections import deque
from itertools import islice
from typing import Final

import msgspec

from hsm_wire.limits import MAX_EVENTS_LIMIT

MAX_EVENTS: Final = MAX_EVENTS_LIMIT
"""Kept at a time: those of a bad hour, and one answer to EVENTS can hold them. 200 KiB."""
MAX_SENTENCE_CHARACTERS: Final = 256
"""As many as the wire takes; a reason that a peer gave is cut there."""


class Event(msgspec.Struct, frozen=True):
    """One change of a state."""

    number: int
    at: float
    """Seconds since 1970."""
    severity: str
    """info, warning or error."""
    site: str
    node: str
    """Empty, as is `site`, where it is about no single one."""
    what: str
    """One sentence in plain words."""


class Events:
    """Those that are remembered."""

    __slots__ = ("_kept", "newest")

    def __init__(self) -> None:
        self._kept: deque[Event] = deque(maxlen=MAX_EVENTS)
        self.newest = 0
        """Number of the newest one; they are counted from 1."""

    def add(self, at: float, severity: str, what: str, *, site: str = "", node: str = "") -> None:
        """Remember one."""
        self.newest += 1
        self._kept.append(Event(self.newest, at, severity, site, node, what[:MAX_SENTENCE_CHARACTERS]))

    def after(self, number: int, limit: int) -> list[Event]:
        """Return what follows that number, oldest first and at most `limit`; of 0, the newest ones.

        Nothing is left out between two calls, unless it was forgotten before it was asked for.
        """
        kept = self._kept
        if not number:
            return list(islice(kept, max(0, len(kept) - limit), None))
        oldest = self.newest - len(kept) + 1
        first = max(0, number + 1 - oldest)
        return list(islice(kept, first, first + limit))
