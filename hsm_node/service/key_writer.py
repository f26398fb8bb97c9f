"""Makes and changes keys in the store; every one of these is safe to send twice.

A key that is made finds itself by its id and the keyed digest of the request, a change by the mark that it leaves in
the record (design.md, section 3).
"""

import hmac
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from hsm_daemon import clock
from hsm_node.core.authorize import live_record
from hsm_node.core.key_table import Entry
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import NewKey, Origin, WrappedKey, new_record
from hsm_node.core.records import Record, seal_record
from hsm_node.core.refusal import Refusal
from hsm_node.service.follower import Follower
from hsm_node.service.request import Request
from hsm_node.store.base import Store
from hsm_node.work.pool import Pool
from hsm_wire.messages import Unconfirmed, encode_body
from hsm_wire.statuses import Status

MAX_CHANGE_TRIES: Final = 8
"""Attempts of one change against changes of the same key through other nodes."""


class Made(msgspec.Struct, frozen=True):
    """What a thread brings back for a new key."""

    key: WrappedKey
    answer: bytes = b""
    """What the request is answered beside the key."""


class KeyWriter:
    """The way of every new and changed key into the store."""

    def __init__(self, follower: Follower, keyring: Keyring, store: Store, writer: Pool) -> None:
        self._follower = follower
        self._keyring = keyring
        self._store = store
        self._writer = writer

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
        partition = request.principal.partition
        digest = self._keyring.request_digest(partition, request.opcode, encode_body(body))
        entry = self._follower.lookup(partition, wanted.key_id)
        if entry is None:
            made = await pool.run(request.deadline, prepare(), measured=False)
            origin = Origin(self._store.cluster_id, self._store.epoch, partition, int(clock.now()))
            record = new_record(wanted, made.key, origin, digest, replaces=replaces, answer=made.answer)
            sealed = seal_record(record, self._keyring)
            name = self._keyring.name(partition, wanted.key_id)
            # Another node may have been faster: then the store returns its record, and the digest decides.
            row = await self._writer.run(request.deadline, lambda: self._store.create(name, sealed))
            entry = self._follower.take(row)
        if not hmac.compare_digest(entry.record.creation_digest, digest):
            raise Refusal(Status.KEY_EXISTS, "the id belongs to a key that another request made")
        live_record(entry)  # A create sent again after the key's end does not bring it back.
        return entry

    async def change(
        self, request: Request, key_id: bytes, body: msgspec.Struct, change: Callable[[Record, bytes], Record]
    ) -> Entry:
        """Return the entry of a key after a change, made now or when the same request came before."""
        partition = request.principal.partition
        name = self._keyring.name(partition, key_id)
        mark = self._keyring.change_mark(request.operation_id, request.opcode, encode_body(body))
        for _ in range(MAX_CHANGE_TRIES):
            entry = self._follower.lookup(partition, key_id)
            if entry is not None and mark in entry.record.changes:
                return entry
            record = live_record(entry)
            assert entry is not None  # live_record has refused None
            revision = entry.revision
            sealed = seal_record(change(record, mark), self._keyring)
            row = await self._writer.run(request.deadline, partial(self._store.change, name, revision, sealed))
            if row is not None:
                return self._follower.take(row)
            self._follower.follow()
        raise Refusal(Status.OVERLOADED, "the key is being changed by too many at once", not_executed=True)

    async def confirmed(self, request: Request, entry: Entry, answer: Callable[[], bytes]) -> tuple[Status, bytes]:
        """Wait until each node has the change, then answer; name those that may not (section 6, rule 3).

        A change that is sent again waits too: its first answer may have been lost while it waited.
        """
        try:
            names = await self._writer.run(request.deadline, lambda: self._store.unconfirmed(entry.revision))
        except Refusal as refusal:  # The change itself has been made: never say that it was not.
            raise Refusal(refusal.status, "changed, but it was not seen in time whether all nodes know") from None
        if names:
            return Status.OK_UNCONFIRMED, encode_body(Unconfirmed(names))
        return Status.OK, answer()
