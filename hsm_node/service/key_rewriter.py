"""Writes what a key's record counts: changes that its owner does not see, made because somebody uses the key.

A key at work through several nodes is written by all of them, and changed by its owner and by a rotation of the master
key meanwhile. Whoever finds that it was written by somebody else looks at the new state and tries again. Who only
counts steps back first, so that owners have their way.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Final

from hsm_daemon import clock, logs
from hsm_daemon.log_limit import LimitedLog
from hsm_node.core.authorize import live_record
from hsm_node.core.change_rate import ChangeRate
from hsm_node.core.envelopes import seal
from hsm_node.core.key_table import Entry
from hsm_node.core.keyring import Keyring
from hsm_node.core.records import Record, unsealed_record
from hsm_node.core.refusal import Refusal
from hsm_node.core.tombstones import Place
from hsm_node.service.failures import Failures
from hsm_node.service.follower import Follower
from hsm_node.service.turns import Turns
from hsm_node.store.base import Row, Store, StoreError
from hsm_node.work.pool import Pool
from hsm_wire.statuses import Status

MAX_REWRITE_TRIES: Final = 64
"""Attempts against writings of the same key through other nodes. One of four wins each time, so the chance that it is
never this one is 10^-8; the deadline ends them sooner where the store is slow."""
STEP_BACK_S: Final = 0.005
"""At most, after an attempt that came too late: a few writings long."""

_log = LimitedLog(logs.logger("hsm_node.keys"), 1)
"""Where the store fails, every counted use does."""


class KeyRewriter:
    """Changes records for those who count. Used on the event loop."""

    def __init__(
        self,
        follower: Follower,
        keyring: Keyring,
        store: Store,
        writer: Pool,
        turns: Turns,
        failures: Failures,
        rate: ChangeRate,
    ) -> None:
        self._follower = follower
        self._keyring = keyring
        self._store = store
        self._writer = writer
        self._turns = turns
        self._failures = failures
        self._rate = rate

    def check_rate(self, partition: int) -> None:
        """Look whether something may be written for a partition that can wait.

        Raises:
            Refusal: it cannot be written yet.
        """
        self._rate.check(partition, clock.monotonic())

    async def rewrite(self, place: Place, deadline: float, change: Callable[[Record], Record]) -> Entry:
        """Return the entry of a key after a change of what it counts.

        Args:
            place: partition and id.
            deadline: by which the store must have begun with it, on the monotonic clock.
            change: returns the next record, called anew for each attempt; the same object where nothing is to be
                written. Raises Refusal where the key, as it is now, must not be used.

        Raises:
            Refusal: not done, or nobody knows whether it was; whatever waits for it did not happen.
        """
        async with self._turns.turn(place, deadline):
            for _ in range(MAX_REWRITE_TRIES):
                entry = self._follower.lookup(*place)
                record = live_record(entry)
                assert entry is not None  # live_record has refused None
                after = change(record)
                if after is record:
                    return entry
                row = await self._stored(deadline, entry.revision, after)
                if row is not None:
                    self._rate.pay(place[0], len(row.data), clock.monotonic())
                    return self._follower.take(row)
                await asyncio.sleep(random.uniform(0, STEP_BACK_S))
                self._follower.follow()
                if not self._follower.current:
                    raise not_counted()
        raise Refusal(Status.OVERLOADED, "the key is used through too many nodes at once", not_executed=True)

    async def _stored(self, deadline: float, revision: int, record: Record) -> Row | None:
        """Return the row that was written; None where the record is not at that revision any more."""
        keyring, name = self._keyring, self._keyring.name(*record.place)
        unsealed = unsealed_record(record, keyring)
        try:
            return await self._writer.run(deadline, lambda: self._store.change(name, revision, seal(unsealed, keyring)))
        except StoreError as error:
            self._failures.store += 1
            _log.event("error", "the store did not count a use", reason=str(error))
            raise not_counted() from None


def not_counted() -> Refusal:
    """Return the answer where the store did not take a writing, or not in time."""
    # Whether it was counted is open. The key did not work, and that is what the caller asks for.
    return Refusal(
        Status.STORE_UNAVAILABLE,
        "the store did not count this use of the key, so it was not made; send the request again",
        not_executed=True,
    )
