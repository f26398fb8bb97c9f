"""Sends clients away a few in each beat, whatever the reason: the proxy stops, their grants changed, they were idle.

Who hears GOAWAY connects anew, here or to a successor on this very machine, and thousands of TLS handshakes at once
hold up everybody's requests.
"""

import math
from collections.abc import Iterable
from itertools import islice
from typing import Final, Protocol

from proxy.core.requests.deadlines import SLOT_S

SPREAD_S: Final = 1.0
"""Time in which all that wait hear GOAWAY, however many they are."""
AT_LEAST: Final = 2
"""Clients that hear it in one beat at least: their two handshakes take about a millisecond."""


class Guest(Protocol):
    """Who can be sent away."""

    def go_away(self, reason: str) -> None:
        """Say GOAWAY with the reason."""


class Departures:
    """Who is to hear GOAWAY, in that order, and why."""

    def __init__(self) -> None:
        self._reasons: dict[Guest, str] = {}
        self._per_beat = AT_LEAST

    def __len__(self) -> int:
        return len(self._reasons)

    def __contains__(self, guest: Guest) -> bool:
        return guest in self._reasons

    def add(self, guests: Iterable[Guest], reason: str) -> None:
        """Let these hear GOAWAY too; for those that wait already only the reason is another one."""
        if not self._reasons:
            self._per_beat = AT_LEAST
        self._reasons.update(dict.fromkeys(guests, reason))
        # Never fewer than before: those that were promised a second have it.
        self._per_beat = max(self._per_beat, math.ceil(len(self._reasons) * SLOT_S / SPREAD_S))

    def forget(self, guest: Guest) -> None:
        """One has left by itself."""
        self._reasons.pop(guest, None)

    def beat(self) -> None:
        """Tell the next few."""
        for guest in list(islice(self._reasons, self._per_beat)):
            guest.go_away(self._reasons.pop(guest))
