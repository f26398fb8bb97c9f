"""Until which moment this node is known to have every change that was committed.

Theory. A linearizable read that began at T and came back with revision R proves: whatever was committed before T is at
or below R. So from the moment at which the watch has brought R, this node has all that was committed before T. A probe
alone proves nothing about a watch that hangs, and a watch alone nothing about a member that is cut off; together they
do.
"""

from collections import deque
from typing import Final

MAX_PROOFS: Final = 64
"""Reads whose revision the watch has not reached: 16 s of them. The oldest are given up: newer ones prove more."""


class Contact:
    """Matches reads with what the watch has brought."""

    def __init__(self) -> None:
        """Begin without any contact."""
        self._proofs: deque[tuple[float, int]] = deque(maxlen=MAX_PROOFS)
        self._arrived = 0
        self.since: float | None = None
        """Begin of the last read whose revision has arrived; None: there was none."""

    def read(self, begun: float, revision: int) -> None:
        """Note a linearizable read: when it was sent, and the revision that it was answered at."""
        self._proofs.append((begun, revision))
        self._settle()

    def arrived(self, revision: int) -> None:
        """Note that everything up to that revision is here."""
        self._arrived = max(self._arrived, revision)
        self._settle()

    def behind(self, now: float) -> float:
        """Return for how many seconds the watch has owed a revision that a read has shown; 0.0: it owes none."""
        return now - self._proofs[0][0] if self._proofs else 0.0

    def _settle(self) -> None:
        while self._proofs and self._proofs[0][1] <= self._arrived:
            begun, _ = self._proofs.popleft()
            self.since = begun if self.since is None else max(self.since, begun)
