"""Which clients hold memory or a place without a use for it: looked at now and then, closed with a reason.

Each client has its limits, and so have all together: thousands of them within their own would still be too many bytes.
A look at thousands takes milliseconds in which nobody's request goes on, so it is made in slices, one a beat.
"""

import math
from collections.abc import Callable, Collection
from typing import Final

from hsm_daemon import logs
from hsm_daemon.log_limit import LimitedLog
from proxy.core.counters import Counters
from proxy.core.requests.deadlines import SLOT_S
from proxy.core.settings import Settings
from proxy.net.client_protocol import ClientProtocol
from proxy.net.departures import Departures

LOOK_S: Final = 0.5
"""In which each client is looked at once."""
SLICE: Final = 64
"""Clients that are looked at in one beat at least: a tenth of a millisecond."""
_log = logs.logger("proxy.clients")


class Housekeeping:
    """Closes clients that do not read or do not finish, and lets those leave that ask for nothing."""

    def __init__(self, settings: Settings, counters: Counters, departures: Departures) -> None:
        self._settings = settings
        self._counters = counters
        self._departures = departures
        self._closed = LimitedLog(_log, 10)
        self._idle = LimitedLog(_log, 1)
        self._look_at = 0.0
        self._round: list[ClientProtocol] = []
        """Who is still to be looked at."""
        self._slice = SLICE
        self._unfinished_bytes = 0
        self._unread_bytes = 0

    def tick(self, clients: Collection[ClientProtocol], now: float) -> None:
        """Look at some of them; begin with all anew when it is time."""
        if not self._round:
            if now < self._look_at:
                return
            self._look_at = now + LOOK_S
            self._round = list(clients)
            self._slice = max(SLICE, math.ceil(len(self._round) * SLOT_S / LOOK_S))
            self._unfinished_bytes = self._unread_bytes = 0
        looked_at = self._round[-self._slice :]
        del self._round[-self._slice :]
        for protocol in looked_at:
            if protocol in clients:  # else it left meanwhile
                self._look(protocol, now)
        if not self._round:
            self._bound_all(clients)

    def _look(self, protocol: ClientProtocol, now: float) -> None:
        limits = self._settings.limits
        self._unfinished_bytes += protocol.unfinished_bytes
        self._unread_bytes += protocol.unread_bytes
        if protocol.unfinished_for(now) > limits.frame_s:
            self._unfinished(protocol, f"a frame did not come to its end within {limits.frame_s:g} s (frame_s)")
        elif protocol.unread_for(now) > limits.client_unread_s:
            self.unread(protocol, f"for {limits.client_unread_s:g} s (client_unread_s)")
        elif protocol.idle_for(now) > limits.idle_s and protocol not in self._departures:
            self._send_away(protocol)

    def _bound_all(self, clients: Collection[ClientProtocol]) -> None:
        """Look again, at all in one go, where they held too much while they were looked at one by one."""
        limits = self._settings.limits
        if self._unfinished_bytes > limits.unfinished_bytes:
            self._bound(
                clients,
                lambda protocol: protocol.unfinished_bytes,
                limits.unfinished_bytes,
                lambda protocol: self._unfinished(protocol, "all clients hold too many unfinished bytes"),
            )
        if self._unread_bytes > limits.unread_bytes:
            self._bound(
                clients,
                lambda protocol: protocol.unread_bytes,
                limits.unread_bytes,
                lambda protocol: self.unread(protocol, "and all clients leave too many bytes unread (unread_bytes)"),
            )

    def unread(self, protocol: ClientProtocol, what: str) -> None:
        """Close a client that does not read, count and log it."""
        self._counters.clients_closed_unread += 1
        self._closed.event("warning", "client closed", peer=protocol.peer, reason=f"answers are not read: {what}")
        protocol.abort()

    def _unfinished(self, protocol: ClientProtocol, reason: str) -> None:
        self._counters.clients_closed_unfinished += 1
        self._closed.event("warning", "client closed", peer=protocol.peer, reason=reason)
        protocol.abort()

    def _send_away(self, protocol: ClientProtocol) -> None:
        self._counters.clients_closed_idle += 1
        reason = f"nothing was asked for {self._settings.limits.idle_s:g} s"
        self._departures.add([protocol], reason)
        identity = "" if protocol.client is None else protocol.client.principal.identity
        self._idle.event("info", "client sent away", peer=protocol.peer, identity=identity, reason=f"{reason} (idle_s)")

    @staticmethod
    def _bound(
        clients: Collection[ClientProtocol],
        held: Callable[[ClientProtocol], int],
        limit_bytes: int,
        close: Callable[[ClientProtocol], None],
    ) -> None:
        """Close those that hold most until all together hold no more than the limit."""
        total = sum(map(held, clients))
        if total <= limit_bytes:
            return
        for protocol in sorted(clients, key=held, reverse=True):
            total -= held(protocol)
            close(protocol)
            if total <= limit_bytes:
                return
