"""DESCRIBE, FIND, GENERATE, IMPORT, UPDATE, DESTROY: keys as records. Every one is safe to send twice."""

import hmac
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from hsm_daemon import clock
from hsm_daemon.tasks import spawn
from hsm_node.backends.base import Backend
from hsm_node.core.authorize import live_record
from hsm_node.core.key_table import Entry, KeyTable
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import Origin, WrappedKey, check_new_key, new_record, tombstone, updated_record
from hsm_node.core.records import Record, seal_record
from hsm_node.core.refusal import Refusal
from hsm_node.service.failures import Failures
from hsm_node.service.follower import Follower
from hsm_node.service.request import Request
from hsm_node.store.base import Store
from hsm_node.work.pool import Pool
from hsm_wire.messages import (
    EMPTY_BODY,
    DescribeKey,
    DestroyKey,
    FindKeys,
    FindKeysResult,
    GenerateKey,
    ImportKey,
    Unconfirmed,
    UpdateKey,
    encode_body,
)
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

MAX_CHANGE_TRIES: Final = 8
"""Attempts of one change against changes of the same key through other nodes."""


class KeyRecords:
    """Handlers of the operations that make, show and change keys."""

    def __init__(
        self,
        table: KeyTable,
        follower: Follower,
        keyring: Keyring,
        backend: Backend,
        store: Store,
        *,
        generation: Pool,
        sessions: Pool,
        writer: Pool,
        failures: Failures,
    ) -> None:
        self._table = table
        self._follower = follower
        self._keyring = keyring
        self._backend = backend
        self._store = store
        self._generation = generation
        self._sessions = sessions
        self._writer = writer
        self._failures = failures

    def describe(self, request: Request, body: DescribeKey) -> bytes | None:
        """DESCRIBE_KEY."""
        entry = self._follower.lookup(request.principal.partition, body.key_id)
        live_record(entry)
        assert entry is not None  # live_record has refused None
        return entry.encoded_info

    def find(self, request: Request, body: FindKeys) -> bytes | None:
        """FIND_KEYS."""
        found = self._table.find(request.principal.partition, body.label, body.key_type, body.after, body.limit)
        return encode_body(FindKeysResult(found))

    def generate(self, request: Request, body: GenerateKey) -> bytes | None:
        """GENERATE_KEY."""
        key_type = check_new_key(body, self._backend.key_types)
        return self._later(
            request, self._create(request, body, self._generation, lambda: self._backend.generate(key_type))
        )

    def import_key(self, request: Request, body: ImportKey) -> bytes | None:
        """IMPORT_KEY."""
        key_type = check_new_key(body, self._backend.key_types)
        return self._later(
            request,
            # Loading a long RSA key takes as long as hundreds of signatures: not where store transactions wait.
            self._create(request, body, self._sessions, lambda: self._backend.import_key(key_type, body.material)),
        )

    def update(self, request: Request, body: UpdateKey) -> bytes | None:
        """UPDATE_KEY."""
        return self._later(
            request, self._change(request, body, lambda record, mark: updated_record(record, body, mark))
        )

    def destroy(self, request: Request, body: DestroyKey) -> bytes | None:
        """DESTROY_KEY."""
        if body.wait_s:
            raise Refusal(Status.BAD_REQUEST, "this version destroys at once: wait_s must be 0")
        return self._later(request, self._change(request, body, tombstone))

    def _later(self, request: Request, work: Coroutine[Any, Any, tuple[Status, bytes]]) -> bytes | None:
        """Answer when the work is done; return what a handler that answers later returns."""

        async def finish() -> None:
            try:
                status, body = await work
            except Exception as error:  # noqa: BLE001 - each request has one answer, whatever happens
                self._failures.answer(request, error)
            else:
                request.succeed(body, int(status))

        spawn(finish(), f"operation {request.operation_id:016x}")
        return None

    async def _create(
        self, request: Request, body: GenerateKey | ImportKey, pool: Pool, make: Callable[[], WrappedKey]
    ) -> tuple[Status, bytes]:
        partition = request.principal.partition
        digest = self._keyring.request_digest(partition, request.opcode, encode_body(body))
        entry = self._follower.lookup(partition, body.key_id)
        if entry is None:
            made = await pool.run(request.deadline, make, measured=False)
            origin = Origin(self._store.cluster_id, self._store.epoch, partition, int(clock.now()))
            key_type = check_new_key(body, self._backend.key_types)
            sealed = seal_record(new_record(body, key_type, made, origin, digest), self._keyring)
            name = self._keyring.name(partition, body.key_id)
            # Another node may have been faster: then the store returns its record, and the digest decides.
            row = await self._writer.run(request.deadline, lambda: self._store.create(name, sealed))
            entry = self._follower.take(row)
        if not hmac.compare_digest(entry.record.creation_digest, digest):
            raise Refusal(Status.KEY_EXISTS, "the id belongs to a key that another request made")
        live_record(entry)  # A create sent again after the key's end does not bring it back.
        return Status.OK, entry.encoded_info

    async def _change(
        self, request: Request, body: UpdateKey | DestroyKey, change: Callable[[Record, bytes], Record]
    ) -> tuple[Status, bytes]:
        partition = request.principal.partition
        name = self._keyring.name(partition, body.key_id)
        mark = self._keyring.change_mark(request.operation_id, request.opcode, encode_body(body))
        for _ in range(MAX_CHANGE_TRIES):
            entry = self._follower.lookup(partition, body.key_id)
            if entry is not None and mark in entry.record.changes:
                return await self._confirmed(request, entry)
            record = live_record(entry)
            assert entry is not None  # live_record has refused None
            revision = entry.revision
            sealed = seal_record(change(record, mark), self._keyring)
            row = await self._writer.run(request.deadline, partial(self._store.change, name, revision, sealed))
            if row is not None:
                return await self._confirmed(request, self._follower.take(row))
            self._follower.follow()
        raise Refusal(Status.OVERLOADED, "the key is being changed by too many at once", not_executed=True)

    async def _confirmed(self, request: Request, entry: Entry) -> tuple[Status, bytes]:
        """Wait until each node has the change; name those that may not (section 6, rule 3).

        A change that is sent again waits too: its first answer may have been lost while it waited.
        """
        try:
            names = await self._writer.run(request.deadline, lambda: self._store.unconfirmed(entry.revision))
        except Refusal as refusal:  # The change itself has been made: never say that it was not.
            raise Refusal(refusal.status, "changed, but it was not seen in time whether all nodes know") from None
        if names:
            return Status.OK_UNCONFIRMED, encode_body(Unconfirmed(names))
        if request.opcode == Opcode.DESTROY_KEY:
            return Status.OK, EMPTY_BODY
        live_record(entry)  # Changed, and destroyed since: an update cannot answer with what is no more.
        return Status.OK, entry.encoded_info
