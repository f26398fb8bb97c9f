"""What one node has said of the store that it follows, and since when the proxy knew it.

A PONG answers a PING. So of what another node had said before that PING was sent, the answer must show everything:
the node looked into the store later. Nothing can be concluded from two PONGs alone, whose order at the nodes nobody
knows. Therefore what each node has seen is kept with its moment.
"""

from collections import deque
from typing import Final, NamedTuple

from hsm_wire.messages import Pong

CURRENT: Final = "current"
MAX_DIGESTS: Final = 32
"""Revisions of a node whose digest is kept: while the store changes, two nodes seldom report at the same one."""
STEPS: Final = 8
"""Moments that are kept of the time that is looked back on; finer ones find nothing more."""


class Seen(NamedTuple):
    """How far a node had seen the store, as it said."""

    at: float
    revision: int
    writes: int


NOTHING: Final = Seen(0.0, 0, 0)


class Sightings:
    """What one process of a node has said."""

    __slots__ = ("_digests", "_known", "boot_id", "heard_at", "last", "proven")

    def __init__(self, pong: Pong) -> None:
        self.boot_id = pong.boot_id
        self.last = pong
        self.heard_at = 0.0
        self.proven = False
        """It has shown everything that others had seen, once since it is connected."""
        self._digests: dict[int, bytes] = {}
        self._known: deque[Seen] = deque()

    @property
    def current(self) -> bool:
        """Whether it had contact to its store when it spoke."""
        return self.last.store_contact == CURRENT

    @property
    def store(self) -> tuple[bytes, int]:
        """Cluster id and epoch: what tells the store from others."""
        return self.last.cluster_id, self.last.epoch

    def take(self, pong: Pong, now: float, keep_s: float) -> None:
        """Note what it says now; what it said is kept for so long."""
        self.last, self.heard_at = pong, now
        # What it wrote itself it has seen before its store shows it, and for a moment the digest is of no revision.
        # Where that lasts, the store is not the one that it has seen.
        seen_more = pong.seen_revision > pong.applied_revision
        lasts = seen_more and self.known_before(now - keep_s).revision > pong.applied_revision
        if self.current and pong.seen_digest and (lasts or not seen_more):
            self._digests.pop(pong.applied_revision, None)  # The newest is the last: what is oldest goes first.
            self._digests[pong.applied_revision] = pong.seen_digest
            if len(self._digests) > MAX_DIGESTS:
                del self._digests[next(iter(self._digests))]
        known = self._known
        # A node that has no memory of its own has seen what it has applied.
        seen = Seen(now, pong.seen_revision if pong.seen_digest else pong.applied_revision, pong.seen_writes)
        if not known or (now - known[-1].at >= keep_s / STEPS and seen[1:] != known[-1][1:]):
            known.append(seen)
        while len(known) > 1 and known[1].at <= now - keep_s:
            known.popleft()

    def known_before(self, moment: float) -> Seen:
        """Return how far it had seen the store, as the proxy knew before that moment."""
        return next((seen for seen in reversed(self._known) if seen.at < moment), NOTHING)

    def digest_at(self, revision: int) -> bytes | None:
        """Return its digest at that revision; None where it is not known."""
        return self._digests.get(revision)
