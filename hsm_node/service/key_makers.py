"""WRAP, UNWRAP, DERIVE, ENCAPSULATE, DECAPSULATE: keys out of keys. All of it runs in the sessions' threads."""

from collections.abc import Callable

import msgspec

from hsm_daemon import clock
from hsm_node.backends.base import Backend
from hsm_node.core.authorize import allow_use, allow_wrap, live_record, offered_mechanism
from hsm_node.core.key_table import Entry
from hsm_node.core.lifecycle import Creating, check_new_key
from hsm_node.core.parameters import decode_parameters
from hsm_node.core.policies import check_derived, check_unwrapped
from hsm_node.core.records import Record, key_info
from hsm_node.service.failures import Failures
from hsm_node.service.follower import Follower
from hsm_node.service.key_writer import KeyWriter, Made
from hsm_node.service.later import answer_later
from hsm_node.service.offers import Offers
from hsm_node.service.request import Request
from hsm_node.service.use_meter import UseMeter
from hsm_node.work.pool import Pool
from hsm_wire.key_types import KeyType
from hsm_wire.mechanisms import Mechanism
from hsm_wire.messages import (
    Decapsulate,
    Derive,
    Encapsulate,
    EncapsulateResult,
    UnwrapKey,
    WrapKey,
    WrapKeyResult,
    encode_body,
)
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage


class _Way(msgspec.Struct, frozen=True):
    """How a key makes another one."""

    key_id: bytes
    mechanism: Mechanism
    parameters: Parameters | None
    usage: Usage


class KeyMakers:
    """Handlers of the operations that make keys from keys, and take keys out."""

    def __init__(
        self,
        follower: Follower,
        backend: Backend,
        offers: Offers,
        writer: KeyWriter,
        *,
        sessions: Pool,
        meter: UseMeter,
        failures: Failures,
        legacy_tests: bool = False,
    ) -> None:
        self._follower = follower
        self._backend = backend
        self._offers = offers
        self._writer = writer
        self._meter = meter
        self._sessions = sessions
        self._failures = failures
        self._legacy_tests = legacy_tests

    def wrap(self, request: Request, body: WrapKey) -> bytes | None:
        """WRAP_KEY."""
        way = self._way(body.wrapping_key_id, body.mechanism, body.parameters, Usage.WRAP)
        wrapping = self._allowed(request, way)
        target = live_record(self._follower.lookup(request.principal.partition, body.key_id))
        allow_wrap(wrapping, target, clock.now())

        def work() -> bytes:
            return self._backend.wrap_key(wrapping, body.mechanism, way.parameters, target)

        async def wrapped() -> tuple[Status, bytes]:
            await self._meter.before_leaving(request, target, lambda now: allow_wrap(wrapping, now, clock.now()))
            await self._pay(request, way, wrapping)
            wrapped_key = await self._sessions.run(request.deadline, work, asker=request)
            return Status.OK, encode_body(WrapKeyResult(wrapped_key))

        return answer_later(request, wrapped(), self._failures)

    def unwrap(self, request: Request, body: UnwrapKey) -> bytes | None:
        """UNWRAP_KEY."""
        way = self._way(body.wrapping_key_id, body.mechanism, body.parameters, Usage.UNWRAP)

        def make(record: Record, key_type: KeyType) -> Made:
            return Made(self._backend.unwrap_key(record, body.mechanism, way.parameters, body.wrapped, key_type))

        return self._make(request, body, way, make, _info)

    def derive(self, request: Request, body: Derive) -> bytes | None:
        """DERIVE."""
        way = self._way(body.key_id, body.mechanism, body.parameters, Usage.DERIVE)

        def make(record: Record, key_type: KeyType) -> Made:
            return Made(self._backend.derive(record, body.mechanism, way.parameters, key_type))

        return self._make(request, body, way, make, _info)

    def encapsulate(self, request: Request, body: Encapsulate) -> bytes | None:
        """ENCAPSULATE: the ciphertext is kept with the new key, for the request that is sent again."""
        way = self._way(body.key_id, body.mechanism, body.parameters, Usage.ENCAPSULATE)

        def make(record: Record, key_type: KeyType) -> Made:
            ciphertext, key = self._backend.encapsulate(record, body.mechanism, way.parameters, key_type)
            return Made(key, ciphertext)

        return self._make(request, body, way, make, _ciphertext)

    def decapsulate(self, request: Request, body: Decapsulate) -> bytes | None:
        """DECAPSULATE."""
        way = self._way(body.key_id, body.mechanism, body.parameters, Usage.DECAPSULATE)

        def make(record: Record, key_type: KeyType) -> Made:
            return Made(self._backend.decapsulate(record, body.mechanism, way.parameters, body.ciphertext, key_type))

        return self._make(request, body, way, make, _info)

    def _way(self, key_id: bytes, number: int, parameters: msgspec.Raw, usage: Usage) -> _Way:
        mechanism = offered_mechanism(number, usage, self._backend.offered)
        return _Way(key_id, mechanism, decode_parameters(mechanism, parameters), usage)

    def _allowed(self, request: Request, way: _Way) -> Record:
        """Return the key that does it, if everything allows it."""
        record = live_record(self._follower.lookup(request.principal.partition, way.key_id))
        allow_use(record, way.mechanism, way.usage, clock.now())
        return record

    async def _pay(self, request: Request, way: _Way, record: Record) -> None:
        payment = self._meter.before_use(request, record, way.mechanism, way.usage)
        if payment is not None:
            await payment

    def _make(
        self,
        request: Request,
        body: Creating,
        way: _Way,
        make: Callable[[Record, KeyType], Made],
        answer: Callable[[Entry], bytes],
    ) -> bytes | None:
        wanted = check_new_key(body, self._offers.key_types, legacy_tests=self._legacy_tests)

        def prepare() -> Callable[[], Made]:
            record = self._allowed(request, way)
            if way.usage is Usage.UNWRAP:  # what comes from outside has no source whose policy it could inherit
                check_unwrapped(record.policy, wanted.policy)
            else:
                check_derived(record.policy, wanted.policy)
            return lambda: make(record, wanted.key_type)

        async def work() -> tuple[Status, bytes]:
            if self._follower.lookup(request.principal.partition, wanted.key_id) is None:  # else nothing is used
                prepare()
                await self._pay(request, way, self._allowed(request, way))
            entry = await self._writer.create(request, body, wanted, prepare, self._sessions)
            return await self._writer.kept(request, entry, answer)

        return answer_later(request, work(), self._failures)


def _info(entry: Entry) -> bytes:
    return entry.encoded_info


def _ciphertext(entry: Entry) -> bytes:
    return encode_body(EncapsulateResult(entry.record.answer, key_info(entry.record)))
