"""AES-GCM encryptions that this node may make: counted down in memory, taken from the store in blocks, ahead of time.

A node that has some left needs no store for them (`core/use_limits.py` says what they are for).
"""

import asyncio
from typing import Final

from hsm_daemon import clock, logs
from hsm_daemon.tasks import spawn
from hsm_node.core.key_table import KeyTable
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_node.core.tombstones import Place
from hsm_node.core.use_limits import GCM_AHEAD, GCM_ENCRYPTIONS, leased
from hsm_node.service.key_rewriter import KeyRewriter
from hsm_wire.statuses import Status

RENEWAL_DEADLINE_S: Final = 5.0
"""For the store to begin with a renewal. Whoever waits for it has less patience."""
RETRY_S: Final = 1.0
"""After a renewal ahead of time that failed: each encryption until then would try again."""
SPARE_LEASES: Final = 1024
"""Of keys that were destroyed, kept beside as many as there are keys: then they are looked for."""

_log = logs.logger("hsm_node.keys")


class _Lease:
    """What is left of the blocks of one key."""

    __slots__ = ("left", "retry_at", "waiting")

    def __init__(self) -> None:
        self.left = 0
        self.retry_at = 0.0
        """Not before then is the next block taken ahead of time."""
        self.waiting: set[asyncio.Future[None]] | None = None
        """Who waits for the renewal that is going on; None: there is none."""


class EncryptionLeases:
    """Those of one node. Used on the event loop."""

    def __init__(self, table: KeyTable, rewriter: KeyRewriter) -> None:
        self._table = table
        self._rewriter = rewriter
        self._leases: dict[Place, _Lease] = {}
        self.taken = 0
        """Blocks taken from the store."""
        self.refused = 0
        """Encryptions refused because all were made."""

    def __len__(self) -> int:
        return len(self._leases)

    def take(self, record: Record) -> bool:
        """Take one encryption; False where `wait` must get it."""
        lease = self._leases.get((record.partition, record.key_id))
        if lease is None or not lease.left:
            return False
        lease.left -= 1
        if lease.left < GCM_AHEAD and lease.waiting is None and record.gcm_leased < GCM_ENCRYPTIONS:
            self._renew_ahead(record, lease)
        return True

    async def wait(self, record: Record) -> None:
        """Take one encryption when the store has given some.

        Raises:
            Refusal: it has not, or there are none.
        """
        place = (record.partition, record.key_id)
        lease = self._leases.setdefault(place, _Lease())
        while not lease.left:
            if lease.waiting is None:
                self._renew(place, lease)
            waiting = lease.waiting
            assert waiting is not None  # a renewal that has begun
            renewed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiting.add(renewed)
            try:
                await renewed
            except Refusal as refusal:
                self.refused += refusal.status is Status.KEY_USAGE
                raise
            finally:
                waiting.discard(renewed)
        lease.left -= 1

    def sweep(self) -> None:
        """Forget what destroyed keys have left, when it is much."""
        if len(self._leases) > 2 * self._table.live + SPARE_LEASES:
            self._leases = {place: lease for place, lease in self._leases.items() if self._lives(place)}

    def _lives(self, place: Place) -> bool:
        entry = self._table.get(*place)
        return entry is not None and not entry.record.destroyed

    def _renew_ahead(self, record: Record, lease: _Lease) -> None:
        if clock.monotonic() >= lease.retry_at:
            self._renew((record.partition, record.key_id), lease)

    def _renew(self, place: Place, lease: _Lease) -> None:
        lease.waiting = set()
        spawn(self._renewed(place, lease), "encryptions of a key")

    async def _renewed(self, place: Place, lease: _Lease) -> None:
        error: Exception | None = None
        try:
            block = await self._taken(place)  # by itself: `left` goes down meanwhile
            lease.left += block
            self.taken += 1
        except Exception as raised:  # noqa: BLE001 - whoever waits hears of it, whatever it is
            error = raised
            lease.retry_at = clock.monotonic() + RETRY_S
        waiting, lease.waiting = lease.waiting or set(), None
        for renewed in waiting:
            if renewed.done():
                continue
            if error is None:
                renewed.set_result(None)
            else:
                renewed.set_exception(error)

    async def _taken(self, place: Place) -> int:
        """Return how many encryptions the store has given."""
        block = 0

        def change(record: Record) -> Record:
            nonlocal block
            after, block = leased(record)
            return after

        entry = await self._rewriter.rewrite(place, clock.monotonic() + RENEWAL_DEADLINE_S, change)
        if entry.record.gcm_leased >= GCM_ENCRYPTIONS:
            what = "rotate the key: after this node's block it encrypts no more"
            text = "the last AES-GCM encryptions of a key were taken"
            logs.event(_log, "warning", text, partition=place[0], key=place[1].hex(), what=what)
        return block
