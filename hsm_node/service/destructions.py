"""Destroys keys whose time has come. Every node tries; the store lets one of them."""

from typing import Final

from hsm_daemon import clock, logs
from hsm_daemon.log_limit import LimitedLog
from hsm_daemon.tasks import spawn
from hsm_node.core.envelopes import seal
from hsm_node.core.key_table import KeyTable
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import tombstone
from hsm_node.core.records import unsealed_record
from hsm_node.core.refusal import Refusal
from hsm_node.service.confirmations import Confirmations
from hsm_node.service.follower import Follower
from hsm_node.store.base import Store, StoreError
from hsm_node.work.pool import Pool

INTERVAL_S: Final = 1.0
"""Between two looks: how late a destruction may come."""
MOST_AT_ONCE: Final = 64
"""Keys destroyed in one look, so that requests have their turn at the store."""
DEADLINE_S: Final = 10.0
"""For one of them; the next look tries again."""

_log = logs.logger("hsm_node.keys")
_waits = LimitedLog(_log, 1 / 60)
"""It is tried again and again while the store is away."""


class Destructions:
    """Scheduled ends of keys."""

    def __init__(
        self,
        table: KeyTable,
        follower: Follower,
        keyring: Keyring,
        store: Store,
        writer: Pool,
        confirmations: Confirmations,
    ) -> None:
        self._table = table
        self._follower = follower
        self._keyring = keyring
        self._store = store
        self._writer = writer
        self._confirmations = confirmations
        self._looked_at = 0.0
        self._busy = False
        self.done = 0
        """Keys that this node destroyed because their time had come."""

    @property
    def scheduled(self) -> int:
        """Keys that wait for their destruction."""
        return len(self._table.scheduled)

    def sweep(self) -> None:
        """Look whether any is due."""
        now = clock.monotonic()
        if self._busy or not self._table.scheduled or now - self._looked_at < INTERVAL_S:
            return
        self._looked_at = now
        due = [place for place, at in self._table.scheduled.items() if at <= clock.now()][:MOST_AT_ONCE]
        if due and self._follower.current:
            self._busy = True
            spawn(self._destroy(due), "scheduled destructions")

    async def _destroy(self, due: list[tuple[int, bytes]]) -> None:
        try:
            destroyed = [await self._destroy_one(place) for place in due]
            await self._confirm(max(destroyed))
        except (Refusal, StoreError) as error:
            _waits.event("warning", "a scheduled destruction waits", reason=str(error))
        finally:
            self._busy = False

    async def _confirm(self, revision: int) -> None:
        """Wait until each node has what was destroyed up to that revision, as for an owner who waits for the answer."""
        nodes = await self._confirmations.names(revision, clock.monotonic() + DEADLINE_S) if revision else []
        if nodes:
            what = "until they are back they may use it, if a proxy reaches no other node; their answers are marked"
            text = "a key is destroyed, and nodes have not confirmed it"
            _waits.event("warning", text, nodes=nodes, what=what)

    async def _destroy_one(self, place: tuple[int, bytes]) -> int:
        """Return the revision of the row that says so; 0: there is nothing to be done."""
        entry = self._table.get(*place)
        if entry is None or not 0 < entry.record.destroy_at <= clock.now():
            return 0
        name, revision = self._keyring.name(*place), entry.revision
        keyring, unsealed = self._keyring, unsealed_record(tombstone(entry.record, b""), self._keyring)
        deadline = clock.monotonic() + DEADLINE_S
        row = await self._writer.run(
            deadline, lambda: self._store.change(name, revision, seal(unsealed, keyring), waits=True)
        )
        if row is None:
            self._follower.follow()  # Another node was faster, or somebody revoked it.
            return 0
        self._follower.take(row)
        self.done += 1
        logs.event(_log, "info", "a key is destroyed: its time has come", partition=place[0], key=place[1].hex())
        return row.revision
