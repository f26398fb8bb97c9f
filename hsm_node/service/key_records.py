"""DESCRIBE, FIND, GENERATE, IMPORT, UPDATE, DESTROY, ROTATE: keys as records."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

import msgspec

from hsm_daemon import clock
from hsm_node.backends.base import Backend
from hsm_node.core.authorize import live_record
from hsm_node.core.key_table import Entry, KeyTable
from hsm_node.core.lifecycle import (
    check_new_key,
    destroyed_record,
    replaced_record,
    rotated_key,
    tombstone,
    updated_record,
)
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_node.service.failures import Failures
from hsm_node.service.follower import Follower
from hsm_node.service.key_writer import KeyWriter, Made
from hsm_node.service.later import answer_later
from hsm_node.service.offers import Offers
from hsm_node.service.request import Request
from hsm_node.work.pool import Pool
from hsm_wire.key_types import KEY_TYPES, Family
from hsm_wire.messages import (
    EMPTY_BODY,
    AdoptKey,
    DescribeKey,
    DestroyKey,
    FindKeys,
    FindKeysResult,
    GenerateKey,
    ImportKey,
    RotateKey,
    UpdateKey,
    encode_body,
)
from hsm_wire.statuses import Status

ADOPTABLE: Final = frozenset(row.name for row in KEY_TYPES.values() if row.family in (Family.RSA, Family.EC, Family.ED))
"""Types of keys that sign."""


class KeyRecords:
    """Handlers of the operations that make, show and change keys."""

    def __init__(
        self,
        table: KeyTable,
        follower: Follower,
        backend: Backend,
        offers: Offers,
        writer: KeyWriter,
        *,
        generation: Pool,
        sessions: Pool,
        failures: Failures,
        legacy_tests: bool = False,
    ) -> None:
        self._table = table
        self._follower = follower
        self._backend = backend
        self._offers = offers
        self._writer = writer
        self._generation = generation
        self._sessions = sessions
        self._failures = failures
        self._legacy_tests = legacy_tests

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
        wanted = check_new_key(body, self._offers.key_types, legacy_tests=self._legacy_tests)

        def make() -> Made:
            return Made(self._backend.generate(wanted.key_type))

        work = self._writer.create(request, body, wanted, lambda: make, self._generation)
        return answer_later(request, self._kept(request, work), self._failures)

    def import_key(self, request: Request, body: ImportKey) -> bytes | None:
        """IMPORT_KEY."""
        wanted = check_new_key(body, self._offers.key_types, legacy_tests=self._legacy_tests)

        def make() -> Made:
            return Made(self._backend.import_key(wanted.key_type, body.material))

        # Loading a long RSA key takes as long as hundreds of signatures: not where store transactions wait.
        work = self._writer.create(request, body, wanted, lambda: make, self._sessions)
        return answer_later(request, self._kept(request, work), self._failures)

    def adopt(self, request: Request, body: AdoptKey) -> bytes | None:
        """ADOPT_KEY."""
        wanted = check_new_key(body, ADOPTABLE)

        def make() -> Made:
            key = self._backend.adopt(request.principal.partition, wanted.key_type, body.device_object)
            return Made(msgspec.structs.replace(key, adopted_at=self._offers.node))

        work = self._writer.create(request, body, wanted, lambda: make, self._sessions)
        return answer_later(request, self._kept(request, work), self._failures)

    def update(self, request: Request, body: UpdateKey) -> bytes | None:
        """UPDATE_KEY."""

        def change(record: Record, mark: bytes) -> Record:
            return updated_record(record, body, mark)

        async def work() -> tuple[Status, bytes]:
            entry = await self._writer.change(request, body.key_id, body, change)
            return await self._writer.confirmed(request, entry, partial(self._writer.info_of, entry))

        return answer_later(request, work(), self._failures)

    def destroy(self, request: Request, body: DestroyKey) -> bytes | None:
        """DESTROY_KEY."""

        def change(record: Record, mark: bytes) -> Record:
            return destroyed_record(record, body.wait_s, clock.now(), mark)

        async def work() -> tuple[Status, bytes]:
            entry = await self._writer.change(request, body.key_id, body, change)
            return await self._writer.confirmed(request, entry, lambda: EMPTY_BODY)

        return answer_later(request, work(), self._failures)

    def rotate(self, request: Request, body: RotateKey) -> bytes | None:
        """ROTATE_KEY."""
        return answer_later(request, self._rotate(request, body), self._failures)

    async def _rotate(self, request: Request, body: RotateKey) -> tuple[Status, bytes]:
        """Make the new key first, then take the old one back: whatever happens in between, one of them works."""
        old = live_record(self._follower.lookup(request.principal.partition, body.key_id))
        wanted = rotated_key(old, body.new_key_id)

        def make() -> Made:
            return Made(self._backend.generate(wanted.key_type))

        def prepare() -> Callable[[], Made]:
            replaced_record(old, body.new_key_id, b"")  # refuses what was rotated before
            if not old.enabled:
                raise Refusal(Status.KEY_DISABLED, "the key is disabled; enable it, then rotate it")
            return make

        made = await self._writer.create(request, body, wanted, prepare, self._generation, replaces=body.key_id)
        changed = self._follower.lookup(request.principal.partition, body.key_id)
        if changed is None or live_record(changed).replaced_by != body.new_key_id:
            try:
                changed = await self._writer.change(
                    request,
                    body.key_id,
                    body,
                    lambda record, mark: replaced_record(record, body.new_key_id, mark),
                    ends=True,
                )
            except Refusal as refusal:
                if refusal.status is Status.KEY_CHANGED:  # Another rotation was faster: nobody shall find this key.
                    await self._writer.change(request, body.new_key_id, body, tombstone)
                raise
        return await self._writer.confirmed(request, changed, partial(self._writer.info_of, made))

    async def _kept(self, request: Request, work: Coroutine[Any, Any, Entry]) -> tuple[Status, bytes]:
        return await self._writer.kept(request, await work, lambda entry: entry.encoded_info)
