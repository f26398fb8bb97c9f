"""How long a node is out: 1 s, doubling to 60 s with each time, forgotten after a good while in rotation."""

from typing import Final

from proxy.core.requests.balancer import Chance
from proxy.core.settings import Settings

_MAX_DOUBLINGS: Final = 16


class Sanction:
    """The times of one node's ejections."""

    __slots__ = ("_chance", "_settings", "count", "lifted_at", "until")

    def __init__(self, settings: Settings, chance: Chance) -> None:
        self._settings = settings
        self._chance = chance
        self.count = 0
        """Ejections in a row."""
        self.until = 0.0
        self.lifted_at = 0.0

    def impose(self, now: float) -> None:
        """Begin a time out of rotation."""
        ejection = self._settings.ejection
        if self.count and self.lifted_at and now - self.lifted_at > ejection.forget_s:
            self.count = 0
        whole_s = min(ejection.max_s, ejection.base_s * float(1 << min(self.count, _MAX_DOUBLINGS)))
        self.count += 1
        self.lifted_at = 0.0
        self.until = now + whole_s * (1.0 + ejection.jitter * self._chance.random())

    def lift(self, now: float) -> None:
        """End it."""
        self.lifted_at = now
