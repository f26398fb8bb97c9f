"""Puts the rows of the store under the master key in use, a few at a time, while requests are served.

Each row is read, written once more under the master key in use, and stored if nobody has changed it meanwhile; who has
changed it has sealed it under that key as well, or it comes up again. So it does no harm when several nodes do it at
once, and nothing is lost when one of them dies in the middle: what is left is what the rows themselves say.
"""

from functools import partial
from typing import Final

from hsm_daemon import clock, logs
from hsm_daemon.log_limit import LimitedLog
from hsm_daemon.tasks import spawn
from hsm_node.core.envelopes import RecordError
from hsm_node.core.keyring import Keyring
from hsm_node.core.refusal import Refusal
from hsm_node.core.resealing import resealed, sealed_version
from hsm_node.core.rotation import Turn
from hsm_node.service.follower import Follower
from hsm_node.store.base import Row, Store, StoreError
from hsm_node.work.pool import Pool

INTERVAL_S: Final = 0.1
"""Between two goes, at least: requests have their turn at the store."""
DEADLINE_S: Final = 10.0
"""For one transaction; the next go tries again."""
RETRY_S: Final = 1.0
"""After a transaction that the store did not take."""
PROGRESS_S: Final = 10.0
"""Between two lines of the log."""

_log = logs.logger("hsm_node.master_key")
_waits = LimitedLog(_log, 1 / 60)
"""It is tried again every RETRY_S while the store is away."""


class Rewrapping:
    """The work in the background. `sweep` on the loop."""

    def __init__(
        self, follower: Follower, keyring: Keyring, store: Store, writer: Pool, turn: Turn, rows_per_s: float
    ) -> None:
        """Do nothing yet.

        Args:
            follower: knows what is left.
            keyring: seals.
            store: where the rows are.
            writer: the store's thread.
            turn: whether it is this node that works.
            rows_per_s: the pace.
        """
        self._follower = follower
        self._keyring = keyring
        self._store = store
        self._writer = writer
        self._turn = turn
        self._most = max(1, round(rows_per_s * INTERVAL_S))
        self._pause_s = self._most / rows_per_s
        self._next_s = 0.0
        self._next_line_s = 0.0
        self._busy = False
        self._working = False
        self.done = 0
        """Rows that this node has put under another master key."""

    @property
    def left(self) -> int:
        """Rows that are not under the master key in use."""
        return len(self._follower.leftovers)

    def begin(self) -> None:
        """Work, whatever other nodes do: this one was told to."""
        self._turn.begin()

    def sweep(self) -> None:
        """Do the next few, if it is time and this node's turn."""
        now, left = clock.monotonic(), self.left
        if self._busy or now < self._next_s:
            return
        due = self._turn.due(now, left)
        if due or self._working:
            self._say(now, left)
        if due and self._follower.current:
            self._busy = True
            self._next_s = now + self._pause_s
            spawn(self._some(), "rewrapping")

    def _say(self, now: float, left: int) -> None:
        """Write lines about the beginning, the progress and the end."""
        what = "records are put under the master key" if left else "all records are under the master key"
        if left and self._working and now < self._next_line_s:
            return
        self._working = bool(left)
        self._next_line_s = now + PROGRESS_S
        version, fingerprint = self._keyring.version, self._keyring.fingerprint().hex()
        logs.event(_log, "info", what, version=version, fingerprint=fingerprint, left=left, done=self.done)

    async def _some(self) -> None:
        try:
            for name in self._follower.leftovers.some(self._most):
                await self._one(name)
        except (Refusal, StoreError) as error:
            self._next_s = clock.monotonic() + RETRY_S
            _waits.event("warning", "records wait for their new master key", left=self.left, reason=str(error))
        finally:
            self._busy = False

    async def _one(self, name: bytes) -> None:
        row = await self._run(partial(self._store.read, name))
        if row is None:  # The follower has seen it, and says so at its next start.
            self._follower.leftovers.forget(name)
            return
        self._follower.take_any(row)  # It may be newer than what was followed; refused, it is left alone.
        if name in self._follower.refused:
            return
        try:
            if sealed_version(row.data, self._keyring) >= self._keyring.version:
                return  # Done by another node; under a newer master key, this node has to take that into use first.
            # On the loop: nobody takes another master key into use between two steps of it.
            sealed = resealed(row.data, name, self._store.cluster_id, self._keyring)
        except RecordError:
            return  # It was refused a moment ago, for the same reason.
        changed = await self._run(partial(self._store.change, name, row.revision, sealed))
        if changed is not None:
            self._follower.take_any(changed)
            self.done += 1

    async def _run(self, work: partial[Row | None]) -> Row | None:
        return await self._writer.run(clock.monotonic() + DEADLINE_S, work)
