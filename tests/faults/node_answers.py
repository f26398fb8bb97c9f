"""What a healthy fake node answers to each operation: true signatures, one key under whatever id is asked for."""

import secrets

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from fake_keys import FAKE_KEY, FAKE_PUBLIC_KEY, is_signed, point_of, sign

from hsm_wire import messages as m
from hsm_wire.errors import BodyError
from hsm_wire.forms import EMPTY_BODY
from hsm_wire.frames import Frame
from hsm_wire.mechanisms import CKM_ECDSA, CKM_ECDSA_SHA256
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

KEY_TYPE = "ec-p256"
_KEY_ID_FIRST = frozenset(
    {
        Opcode.GENERATE_KEY, Opcode.IMPORT_KEY, Opcode.ADOPT_KEY, Opcode.DESCRIBE_KEY, Opcode.UPDATE_KEY,
        Opcode.DESTROY_KEY, Opcode.ROTATE_KEY, Opcode.SIGN, Opcode.VERIFY, Opcode.ENCRYPT, Opcode.DECRYPT,
    }
)  # fmt: skip


class _FirstField(msgspec.Struct, array_like=True):
    key_id: bytes


_first_field = msgspec.msgpack.Decoder(_FirstField)


class Answer(msgspec.Struct, frozen=True):
    """Status and body of a RESPONSE."""

    status: int
    body: bytes


def failure(status: Status, detail: str, retry_after_ms: int = 0) -> Answer:
    """Return a failed answer."""
    return Answer(int(status), m.encode_body(m.Failure(detail, retry_after_ms)))


def key_id_of(frame: Frame) -> str:
    """Return the key that a request names first, in hex; empty where it names none."""
    if frame.opcode not in _KEY_ID_FIRST:
        return ""
    try:
        return _first_field.decode(frame.body).key_id.hex()
    except msgspec.DecodeError:
        return ""


def opcode_name(number: int) -> str:
    """Return an operation's name, or its number where there is no such operation."""
    try:
        return Opcode(number).name
    except ValueError:
        return f"{number:#06x}"


class Answers:
    """Answers requests. The check key is new with each instance, as a node's is at each start."""

    def __init__(self, name: str, cluster: str) -> None:
        self.name = name
        self.cluster = cluster
        self._check_key = ec.generate_private_key(ec.SECP256R1())
        self._by_opcode = {
            Opcode.INFO: self._info,
            Opcode.RANDOM: self._random,
            Opcode.CHECK: self._check,
            Opcode.GENERATE_KEY: self._generate,
            Opcode.IMPORT_KEY: self._import,
            Opcode.DESCRIBE_KEY: self._describe,
            Opcode.UPDATE_KEY: self._update,
            Opcode.DESTROY_KEY: self._destroy,
            Opcode.SIGN: self._sign,
            Opcode.VERIFY: self._verify,
        }

    def answer(self, frame: Frame, *, wrong_signature: bool = False) -> Answer:
        """Return the answer to a request; what has no answer here gets its own body back.

        `wrong_signature`: signatures are well-formed and true, but of other data.
        """
        handler = self._by_opcode.get(frame.opcode)  # type: ignore[call-overload]  # IntEnum members hash as integers
        if handler is None:
            return Answer(int(Status.OK), frame.body)
        try:
            body: bytes = handler(frame.body, b"other data than what was asked" if wrong_signature else b"")
        except BodyError as error:
            return failure(Status.BAD_REQUEST, str(error))
        except _RefusedError as refused:
            return failure(refused.status, str(refused))
        return Answer(int(Status.OK), body)

    def _info(self, _body: bytes, _other: bytes) -> bytes:
        mechanisms = [
            m.MechanismInfo(CKM_ECDSA, "CKM_ECDSA", 3),
            m.MechanismInfo(CKM_ECDSA_SHA256, "CKM_ECDSA_SHA256", 3),
        ]
        return m.encode_body(m.InfoResult(self.cluster, self.name, "fake-node", mechanisms, [KEY_TYPE]))

    def _random(self, body: bytes, _other: bytes) -> bytes:
        return m.encode_body(m.RandomResult(secrets.token_bytes(m.decode_body(m.Random, body).length)))

    def _check(self, body: bytes, other: bytes) -> bytes:
        challenge = other or m.decode_body(m.Check, body).challenge
        return m.encode_body(m.CheckResult(sign(self._check_key, challenge), point_of(self._check_key)))

    def _sign(self, body: bytes, other: bytes) -> bytes:
        asked = m.decode_body(m.Sign, body)
        prehashed = self._is_prehashed(asked.mechanism, asked.data)
        data = asked.data if not other else other.ljust(32)[:32] if prehashed else other
        return m.encode_body(m.SignResult(sign(FAKE_KEY, data, prehashed=prehashed)))

    def _verify(self, body: bytes, _other: bytes) -> bytes:
        asked = m.decode_body(m.Verify, body)
        prehashed = self._is_prehashed(asked.mechanism, asked.data)
        if not is_signed(asked.signature, asked.data, prehashed=prehashed):
            raise _RefusedError(Status.BAD_SIGNATURE, "the signature does not verify")
        return EMPTY_BODY

    def _generate(self, body: bytes, _other: bytes) -> bytes:
        asked = m.decode_body(m.GenerateKey, body)
        return _key_info(asked.key_id, asked.label, "generated")

    def _import(self, body: bytes, _other: bytes) -> bytes:
        asked = m.decode_body(m.ImportKey, body)
        return _key_info(asked.key_id, asked.label, "imported")

    def _describe(self, body: bytes, _other: bytes) -> bytes:
        return _key_info(m.decode_body(m.DescribeKey, body).key_id, "", "generated")

    def _update(self, body: bytes, _other: bytes) -> bytes:
        asked = m.decode_body(m.UpdateKey, body)
        return _key_info(asked.key_id, asked.label or "", "generated")

    def _destroy(self, body: bytes, _other: bytes) -> bytes:
        m.decode_body(m.DestroyKey, body)
        return EMPTY_BODY

    @staticmethod
    def _is_prehashed(mechanism: int, data: bytes) -> bool:
        if mechanism == CKM_ECDSA:
            if len(data) != 32:
                raise _RefusedError(Status.BAD_DATA, "a fake node signs digests of 32 bytes")
            return True
        if mechanism != CKM_ECDSA_SHA256:
            raise _RefusedError(Status.UNKNOWN_MECHANISM, "a fake node knows CKM_ECDSA and CKM_ECDSA_SHA256")
        return False


class _RefusedError(Exception):
    """A failed answer on its way out."""

    def __init__(self, status: Status, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def _key_info(key_id: bytes, label: str, origin: str) -> bytes:
    usage = 3
    return m.encode_body(
        m.KeyInfo(key_id, KEY_TYPE, label, usage, True, 1, 1_750_000_000, origin, FAKE_PUBLIC_KEY, m.Policy())
    )
