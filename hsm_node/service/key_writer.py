"""Makes keys in the store; how a record is made and changed there is the row writer's."""

from collections.abc import Callable

import msgspec

from hsm_node.core.change_rate import ChangeRate
from hsm_node.core.key_shares import KeyShares
from hsm_node.core.key_table import Entry
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import NewKey, WrappedKey, new_record
from hsm_node.core.records import Record
from hsm_node.service.confirmations import Confirmations
from hsm_node.service.follower import Follower
from hsm_node.service.record_rows import RecordRows
from hsm_node.service.request import Request
from hsm_node.service.row_writer import RowWriter
from hsm_node.service.turns import Turns
from hsm_node.store.base import Store
from hsm_node.work.pool import Pool


class Made(msgspec.Struct, frozen=True):
    """What a thread brings back for a new key."""

    key: WrappedKey
    answer: bytes = b""
    """What the request is answered beside the key."""


class KeyWriter(RowWriter[Record]):
    """The way of every new and changed key into the store."""

    def __init__(
        self,
        follower: Follower,
        rows: RecordRows[Record],
        keyring: Keyring,
        store: Store,
        writer: Pool,
        confirmations: Confirmations,
        rate: ChangeRate,
        turns: Turns,
        shares: KeyShares,
    ) -> None:
        super().__init__(follower, rows, keyring, store, writer, confirmations, rate)
        self._turns = turns
        self._shares = shares

    async def change(
        self,
        request: Request,
        record_id: bytes,
        body: msgspec.Struct,
        change: Callable[[Record, bytes], Record],
        *,
        ends: bool = False,
    ) -> Entry:
        """Return the entry of a key after a change, in turn with those who count its uses."""
        async with self._turns.turn((request.principal.partition, record_id), request.deadline):
            return await super().change(request, record_id, body, change, ends=ends)

    async def create(
        self,
        request: Request,
        body: msgspec.Struct,
        wanted: NewKey,
        prepare: Callable[[], Callable[[], Made]],
        pool: Pool,
        *,
        replaces: bytes = b"",
    ) -> Entry:
        """Return the entry of a new key, or of the one that this very request has made before.

        Args:
            request: whose key it is.
            body: of the request; another one with the same id is refused.
            wanted: what the key shall be.
            prepare: returns what makes the key, in a thread; raises where it may not be made. Not asked for a key that
                the request has made already: what it was made from may be no more.
            pool: the threads.
            replaces: the key that it is rotated from.
        """
        digest = self.digest(request, body)

        async def make() -> Record:
            take_place()
            made = await pool.run(request.deadline, prepare(), measured=False, asker=request)
            origin = self.origin(request)
            return new_record(wanted, made.key, origin, digest, replaces=replaces, answer=made.answer)

        with self._shares.place(request.principal.partition) as take_place:
            return await self.made(request, wanted.key_id, digest, make)
