"""SIGN, VERIFY, ENCRYPT, DECRYPT: cheap ones at once, dear ones in the sessions' pool."""

from collections.abc import Callable
from functools import partial

from hsm_daemon import clock
from hsm_node.backends.base import LONG_DATA_BYTES, Backend, LoadedKey
from hsm_node.core.authorize import allow_use, live_record, offered_mechanism
from hsm_node.core.parameters import decode_parameters
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_node.service.failures import Failures
from hsm_node.service.follower import Follower
from hsm_node.service.later import answer_later
from hsm_node.service.request import Request
from hsm_node.service.use_meter import Payment, UseMeter
from hsm_node.work.pool import Job, Pool
from hsm_wire.mechanisms import Mechanism
from hsm_wire.messages import (
    EMPTY_BODY,
    Decrypt,
    DecryptResult,
    Encrypt,
    EncryptResult,
    Sign,
    SignResult,
    Verify,
    encode_body,
)
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag, Usage

_CALLER_IV = int(PolicyFlag.CALLER_IV)
# Plain members: attribute access on a Flag class costs as much as a dictionary chain.
_SIGN, _VERIFY, _ENCRYPT, _DECRYPT = Usage.SIGN, Usage.VERIFY, Usage.ENCRYPT, Usage.DECRYPT
_SIGN_BIT, _VERIFY_BIT, _ENCRYPT_BIT, _DECRYPT_BIT = int(_SIGN), int(_VERIFY), int(_ENCRYPT), int(_DECRYPT)


class KeyUses:
    """Handlers of the operations that use keys."""

    def __init__(
        self, follower: Follower, backend: Backend, sessions: Pool, meter: UseMeter, failures: Failures
    ) -> None:
        self._follower = follower
        self._backend = backend
        self._sessions = sessions
        self._meter = meter
        self._failures = failures

    def sign(self, request: Request, body: Sign) -> bytes | None:
        """SIGN."""
        _, key, parameters, payment = self._usable(request, body, _SIGN)
        work = partial(_sign, key, parameters, body)
        return self._run(request, key.dear & _SIGN_BIT, len(body.data), work, payment)

    def verify(self, request: Request, body: Verify) -> bytes | None:
        """VERIFY."""
        _, key, parameters, payment = self._usable(request, body, _VERIFY)
        work = partial(_verify, key, parameters, body)
        return self._run(request, key.dear & _VERIFY_BIT, len(body.data), work, payment)

    def encrypt(self, request: Request, body: Encrypt) -> bytes | None:
        """ENCRYPT."""
        record, key, parameters, payment = self._usable(request, body, _ENCRYPT)
        work = partial(_encrypt, key, parameters, body, bool(record.policy.flags & _CALLER_IV))
        return self._run(request, key.dear & _ENCRYPT_BIT, len(body.data), work, payment)

    def decrypt(self, request: Request, body: Decrypt) -> bytes | None:
        """DECRYPT."""
        _, key, parameters, payment = self._usable(request, body, _DECRYPT)
        work = partial(_decrypt, key, parameters, body)
        return self._run(request, key.dear & _DECRYPT_BIT, len(body.data), work, payment)

    def _usable(
        self, request: Request, body: Sign | Verify | Encrypt | Decrypt, usage: Usage
    ) -> tuple[Record, LoadedKey, Parameters | None, Payment | None]:
        """Return the key at work, if everything allows it, and what its use waits for; None: for nothing."""
        mechanism = self._mechanism(request, body, usage)
        parameters = decode_parameters(mechanism, body.parameters)
        record = live_record(self._follower.lookup(request.principal.partition, body.key_id))
        allow_use(record, mechanism, usage, clock.now())
        key = self._backend.load(record)
        return record, key, parameters, self._meter.before_use(request, record, mechanism, usage)

    def _mechanism(self, request: Request, body: Sign | Verify | Encrypt | Decrypt, usage: Usage) -> Mechanism:
        """Return the mechanism, if this back end has it: with keys that were adopted it may have more."""
        try:
            return offered_mechanism(body.mechanism, usage, self._backend.offered)
        except Refusal:
            entry = self._follower.lookup(request.principal.partition, body.key_id) if self._backend.adopted else None
            if entry is None or not entry.record.device_object:
                raise
            return offered_mechanism(body.mechanism, usage, self._backend.adopted)

    def _run(
        self, request: Request, dear: int, data_bytes: int, work: Callable[[], bytes], payment: Payment | None
    ) -> bytes | None:
        """Do the work now, or have a session do it and answer."""
        in_session = dear != 0 or data_bytes >= LONG_DATA_BYTES
        if payment is not None:
            return answer_later(request, self._run_paid(request, in_session, work, payment), self._failures)
        if not in_session:
            return work()
        failed = partial(self._failures.answer, request)
        job = Job(request.deadline, work, request.succeed, failed, asker=request)
        self._sessions.submit(job)
        request.withdraw = lambda: self._sessions.withdraw(job)
        return None

    async def _run_paid(
        self, request: Request, in_session: bool, work: Callable[[], bytes], payment: Payment
    ) -> tuple[Status, bytes]:
        await payment
        return Status.OK, await self._sessions.run(request.deadline, work, asker=request) if in_session else work()


def _sign(key: LoadedKey, parameters: Parameters | None, body: Sign) -> bytes:
    return encode_body(SignResult(key.sign(body.mechanism, parameters, body.data)))


def _verify(key: LoadedKey, parameters: Parameters | None, body: Verify) -> bytes:
    key.verify(body.mechanism, parameters, body.data, body.signature)
    return EMPTY_BODY


def _encrypt(key: LoadedKey, parameters: Parameters | None, body: Encrypt, caller_iv: bool) -> bytes:
    return encode_body(EncryptResult(*key.encrypt(body.mechanism, parameters, body.data, caller_iv=caller_iv)))


def _decrypt(key: LoadedKey, parameters: Parameters | None, body: Decrypt) -> bytes:
    return encode_body(DecryptResult(key.decrypt(body.mechanism, parameters, body.data)))
