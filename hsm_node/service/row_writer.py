"""Makes and changes records in the store; every one of these is safe to send twice.

What is made finds itself by its id and the keyed digest of the request, a change by the mark that it leaves in the
record (design.md, section 3).
"""

import hmac
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Generic, TypeVar

import msgspec

from hsm_daemon import clock
from hsm_node.core.authorize import live_record
from hsm_node.core.change_rate import ChangeRate
from hsm_node.core.envelopes import Unsealed, seal
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import Origin
from hsm_node.core.record_table import Entry, TableRecord
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_node.service.confirmations import Confirmations
from hsm_node.service.follower import Follower
from hsm_node.service.record_rows import RecordRows
from hsm_node.service.request import Request
from hsm_node.store.base import Row, Store
from hsm_node.work.pool import Pool
from hsm_wire.messages import encode_body
from hsm_wire.statuses import Status

MAX_CHANGE_TRIES: Final = 32
"""Attempts of one change against writings of the same record through other nodes: a key's uses may be among them."""

R = TypeVar("R", bound=TableRecord)


class RowWriter(Generic[R]):
    """The way of every new and changed record of one kind into the store."""

    def __init__(
        self,
        follower: Follower,
        rows: RecordRows[R],
        keyring: Keyring,
        store: Store,
        writer: Pool,
        confirmations: Confirmations,
        rate: ChangeRate,
    ) -> None:
        self._follower = follower
        self._rows = rows
        self._keyring = keyring
        self._store = store
        self._writer = writer
        self._confirmations = confirmations
        self._rate = rate

    def origin(self, request: Request) -> Origin:
        """Return where and when a record of the caller is made."""
        return Origin(self._store.cluster_id, self._store.epoch, request.principal.partition, int(clock.now()))

    def digest(self, request: Request, body: msgspec.Struct) -> bytes:
        """Return what a record keeps of the request that makes it."""
        return self._keyring.request_digest(request.principal.partition, request.opcode, encode_body(body))

    async def made(
        self, request: Request, record_id: bytes, digest: bytes, make: Callable[[], Awaitable[R]]
    ) -> Entry[R]:
        """Return the entry of a new record, or of the one that this very request has made before.

        Args:
            request: whose record it is.
            record_id: of it.
            digest: of the request; another one with the same id is refused.
            make: returns the record; not called where there is one.
        """
        rows, partition = self._rows, request.principal.partition
        entry = self._follower.find(rows, partition, record_id)
        if entry is None:
            self._confirmations.check_room_for_new(request)
            self._rate.check(partition, clock.monotonic())
            unsealed, keyring = rows.unsealed(await make()), self._keyring
            name = rows.name(partition, record_id)
            # Another node may have been faster: then the store returns its record, and the digest decides.
            created = lambda: self._store.create(name, seal(unsealed, keyring))  # noqa: E731 - in a thread, as the MAC
            row = await self._writer.run(request.deadline, created, asker=request)
            self._rate.pay(partition, len(row.data), clock.monotonic())
            entry = self._follower.take_as(rows, row)
        if not hmac.compare_digest(entry.record.creation_digest, digest):
            raise Refusal(Status.KEY_EXISTS, f"the id belongs to another request's {rows.noun}")
        live_record(entry, rows.noun)  # A create sent again after the end does not bring it back.
        return entry

    async def change(
        self,
        request: Request,
        record_id: bytes,
        body: msgspec.Struct,
        change: Callable[[R, bytes], R],
        *,
        ends: bool = False,
    ) -> Entry[R]:
        """Return the entry of a record after a change, made now or when the same request came before.

        Args:
            request: that asks for it.
            record_id: of the record.
            body: of the request.
            change: returns the next record.
            ends: whether it is the end of what was begun, which no rate holds up.
        """
        rows, partition = self._rows, request.principal.partition
        name = rows.name(partition, record_id)
        mark = self._keyring.change_mark(request.operation_id, request.opcode, encode_body(body))
        for _ in range(MAX_CHANGE_TRIES):
            entry = self._follower.find(rows, partition, record_id)
            if entry is not None and mark in entry.record.changes:
                return entry
            record = live_record(entry, rows.noun)
            self._confirmations.check_room()
            assert entry is not None  # live_record has refused None
            after = change(record, mark)
            if not ends and not _takes_away(record, after):
                self._rate.check(partition, clock.monotonic())
            written = partial(self._written, name, entry.revision, rows.unsealed(after))
            row = await self._writer.run(request.deadline, written, asker=request)
            if row is not None:
                self._rate.pay(partition, len(row.data), clock.monotonic())
                return self._follower.take_as(rows, row)
            self._follower.follow()
        raise Refusal(Status.OVERLOADED, f"the {rows.noun} is being changed by too many at once", not_executed=True)

    def _written(self, name: bytes, revision: int, unsealed: Unsealed) -> Row | None:
        return self._store.change(name, revision, seal(unsealed, self._keyring), waits=True)

    async def kept(
        self, request: Request, entry: Entry[R], answer: Callable[[Entry[R]], bytes]
    ) -> tuple[Status, bytes]:
        """Return the answer to what has made a record, now or before: see `Confirmations.answer_new`."""
        return await self._confirmations.answer_new(request, entry.revision, partial(answer, entry))

    async def confirmed(self, request: Request, entry: Entry[R], answer: Callable[[], bytes]) -> tuple[Status, bytes]:
        """Return the answer to a change when each node has it, or names are known: see `Confirmations.answer`."""
        return await self._confirmations.answer(request, entry.revision, answer)

    def info_of(self, entry: Entry[R]) -> bytes:
        """Return the answer that tells of a record that was just changed."""
        live_record(entry, self._rows.noun)  # Changed, and destroyed since: the answer cannot tell of what is no more.
        return entry.encoded_info


def _takes_away(before: TableRecord, after: TableRecord) -> bool:
    """Whether a change ends a record, or what a key may do: that is never held up."""
    disables = isinstance(before, Record) and isinstance(after, Record) and before.enabled and not after.enabled
    return after.destroyed or disables
