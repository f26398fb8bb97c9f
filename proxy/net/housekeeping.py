"""Which clients hold memory or a place without a use for it: looked at now and then, closed with a reason.

Each client has its limits, and so have all together: thousands of them within their own would still be too many bytes.
"""

from collections.abc import Callable, Collection
from typing import Final

from hsm_daemon import logs
from hsm_daemon.log_limit import LimitedLog
from proxy.core.counters import Counters
from proxy.core.settings import Settings
from proxy.net.client_protocol import ClientProtocol
from proxy.net.departures import Departures

LOOK_S: Final = 0.5
"""Between looks."""
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

    def tick(self, clients: Collection[ClientProtocol], now: float) -> None:
        """Look, when it is time."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        limits = self._settings.limits
        for protocol in list(clients):
            if protocol.unfinished_for(now) > limits.frame_s:
                self._unfinished(protocol, f"a frame did not come to its end within {limits.frame_s:g} s (frame_s)")
            elif protocol.unread_for(now) > limits.client_unread_s:
                self.unread(protocol, f"for {limits.client_unread_s:g} s (client_unread_s)")
            elif protocol.idle_for(now) > limits.idle_s and protocol not in self._departures:
                self._send_away(protocol)
        self._bound(
            clients,
            lambda protocol: protocol.unfinished_bytes,
            limits.unfinished_bytes,
            lambda protocol: self._unfinished(protocol, "all clients hold too many unfinished bytes"),
        )
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
