"""The active check of one path: when to connect, when to ping, what an answer or silence means.

A path that was never up needs one answer, a path that comes back needs `rise` in a row, one that misses `fall`
in a row is out, and its connection with it. `hurry` is said while no node is in rotation, or none that is current:
then every interval is the fast one, one answer is enough, and an attempt to connect that hangs is not waited for.
"""

from enum import Enum

from proxy.core.nodes.pings import Pings, ping
from proxy.core.requests.balancer import Chance
from proxy.core.settings import Settings

FAST_ATTEMPTS = 4
"""Attempts to connect at the fast interval after a loss; a restarted node is back by then, a dead one is not."""


class Step(Enum):
    """What the shell is to do for a path now."""

    NOTHING = "nothing"
    CONNECT = "connect"
    PING = "ping"
    LOST = "lost"
    """Close the connection: the path does not answer."""


class PathHealth:
    """The check of one path."""

    __slots__ = (
        "_attempts",
        "_chance",
        "_connecting_since",
        "_next_at",
        "_pings",
        "_settings",
        "connected",
        "connecting",
        "good",
        "missed",
        "ping_id",
        "ping_sent_at",
        "proven",
        "up",
    )

    def __init__(self, settings: Settings, chance: Chance, pings: Pings, now: float) -> None:
        self._settings = settings
        self._chance = chance
        self._pings = pings
        self._next_at = now
        self._connecting_since = now
        self._attempts = 0
        self.connected = False
        self.connecting = False
        self.up = False
        self.proven = False
        """The path has been up since the proxy started."""
        self.good = 0
        self.missed = 0
        self.ping_id = 0
        self.ping_sent_at: float | None = None

    def step(self, now: float, *, hurry: bool) -> Step:
        """Return what is to be done now; the caller does it."""
        if hurry:
            self._next_at = min(self._next_at, now + self._settings.health.fast_interval_s)
        if self.connecting:
            return self._again(now) if hurry else Step.NOTHING
        if self.ping_sent_at is not None:
            return self._overdue(now)
        if now < self._next_at:
            return Step.NOTHING
        if not self.connected:
            self.connecting = True
            self._connecting_since = now
            return Step.CONNECT
        self.ping_id = self._pings.next_id()
        self.ping_sent_at = now
        return Step.PING

    @property
    def ping(self) -> bytes:
        """The frame that asks."""
        return ping(self.ping_id)

    def hasten(self, now: float) -> None:
        """Do at once what is due next."""
        self._next_at = min(self._next_at, now)

    def opened(self, now: float) -> None:
        """Note that the connection is there and greeted; it is checked at once."""
        self.connecting = False
        self.connected = True
        self.good = self.missed = 0
        self.ping_sent_at = None
        self._next_at = now

    def answered(self, ping_id: int, now: float, *, hurry: bool) -> bool:
        """Note a PONG; return whether the path has just come up."""
        if ping_id != self.ping_id or self.ping_sent_at is None:
            return False  # a late one: its PING is counted as missed already; or an answer to another question
        self.ping_sent_at = None
        self.missed = 0
        self.good += 1
        settings = self._settings.health
        rises = not self.up and self.good >= (settings.rise if self.proven and not hurry else 1)
        if rises:
            self.up = self.proven = True
            self._attempts = 0
        self._next_at = now + self._varied(settings.interval_s if self.up else settings.fast_interval_s)
        return rises

    def forgive(self, now: float) -> None:
        """Forget the PING that is under way: the proxy itself stood still and cannot say what came in time."""
        self.ping_sent_at = None
        self._next_at = min(self._next_at, now)

    def lost(self, now: float) -> None:
        """Note that the connection is gone, or was not to be had."""
        self.connected = self.connecting = self.up = False
        self.good = self.missed = 0
        self.ping_sent_at = None
        self._attempts += 1
        settings = self._settings.health
        fast = self.proven and self._attempts <= FAST_ATTEMPTS
        self._next_at = now + self._varied(settings.fast_interval_s if fast else settings.down_interval_s)

    def _again(self, now: float) -> Step:
        """Try once more beside an attempt that hangs: it may succeed later than the network does."""
        if now - self._connecting_since < self._settings.health.timeout_s:
            return Step.NOTHING
        self._connecting_since = now
        return Step.CONNECT

    def _overdue(self, now: float) -> Step:
        """Count a PING whose time is over as missed."""
        if self.ping_sent_at is None or now - self.ping_sent_at < self._settings.health.timeout_s:
            return Step.NOTHING
        self.ping_sent_at = None
        self.good = 0
        self.missed += 1
        if self.missed >= self._settings.health.fall:
            return Step.LOST
        self._next_at = now + self._varied(self._settings.health.fast_interval_s)
        return Step.NOTHING

    def _varied(self, interval_s: float) -> float:
        return interval_s * (1 + self._settings.health.jitter * (2 * self._chance.random() - 1))
