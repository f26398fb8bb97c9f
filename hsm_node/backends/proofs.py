"""The proofs of the self-test: what each mechanism must answer with the known keys.

Answers are published ones where there are any, long ones by their SHA-256. Where chance is in the answer, what the
key made must come back, and nothing else may.
"""

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Final, NamedTuple

from hsm_node.backends.known_keys import MESSAGE, KnownKeys, mac_by
from hsm_node.core.lifecycle import WrappedKey
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.parameters import EcdhParameters, Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

_SIGNING: Final = Usage.SIGN | Usage.VERIFY
_CIPHER: Final = Usage.ENCRYPT | Usage.DECRYPT
_WRAPPING: Final = Usage.WRAP | Usage.UNWRAP
# SP 800-38A, appendix F: the first two blocks of every example.
PLAIN: Final = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")


class DisproofError(Exception):
    """A mechanism answered otherwise than it must."""


class Proof(NamedTuple):
    """What shows that a mechanism works with a type of key. `run` raises what is wrong."""

    mechanism: int
    usages: Usage
    key_type: str
    run: Callable[[KnownKeys], None]


def signs(
    mechanism: int, key_type: str, known: str, parameters: Parameters | None = None, data: bytes = MESSAGE
) -> Proof:
    """The signature is the known one."""

    def run(keys: KnownKeys) -> None:
        signature = keys.loaded(key_type).sign(mechanism, parameters, data)
        _expect("signature", signature, known)
        _verifies_nothing_else(keys, key_type, mechanism, parameters, data, signature)

    return Proof(mechanism, _SIGNING, key_type, run)


def signs_anew(
    mechanism: int, key_type: str, known: str = "", parameters: Parameters | None = None, data: bytes = b"sample"
) -> Proof:
    """A signature that is made verifies, and so does the known one, if there is one."""

    def run(keys: KnownKeys) -> None:
        key = keys.loaded(key_type)
        if known:
            key.verify(mechanism, parameters, data, bytes.fromhex(known))
        _verifies_nothing_else(keys, key_type, mechanism, parameters, data, key.sign(mechanism, parameters, data))

    return Proof(mechanism, _SIGNING, key_type, run)


def has_public_key(mechanism: int, usages: Usage, key_type: str, known: str) -> Proof:
    """The seed gives the known public key."""

    def run(keys: KnownKeys) -> None:
        _expect("public key", keys.record(key_type).public_key, known)

    return Proof(mechanism, usages, key_type, run)


def encrypts(
    mechanism: int, key_type: str, known: str, parameters: Parameters | None = None, plain: bytes = PLAIN
) -> Proof:
    """The ciphertext is the known one, or whatever decrypts again where chance is in it (`known` empty)."""

    def run(keys: KnownKeys) -> None:
        key = keys.loaded(key_type)
        ciphertext, _ = key.encrypt(mechanism, parameters, plain, caller_iv=True)
        if known:
            _expect("ciphertext", ciphertext, known)
        elif ciphertext == key.encrypt(mechanism, parameters, plain, caller_iv=True)[0]:
            raise DisproofError("two encryptions gave the same ciphertext")
        if key.decrypt(mechanism, parameters, ciphertext) != plain:
            raise DisproofError("decryption did not give the plaintext")

    return Proof(mechanism, _CIPHER, key_type, run)


def refuses_changed_data(mechanism: int, key_type: str, ciphertext: bytes, parameters: Parameters | None) -> Proof:
    """What was not encrypted does not decrypt."""

    def run(keys: KnownKeys) -> None:
        _refuses(lambda: keys.loaded(key_type).decrypt(mechanism, parameters, ciphertext), Status.BAD_DATA)

    return Proof(mechanism, Usage.DECRYPT, key_type, run)


def rejects_implicitly(mechanism: int, key_type: str, ciphertext: bytes) -> Proof:
    """Wrong padding gives some plaintext, no error, and the same one each time, also after the key was loaded anew."""

    def run(keys: KnownKeys) -> None:
        answers = set()
        for _ in range(2):
            keys.unload(key_type)
            try:
                answers.add(keys.loaded(key_type).decrypt(mechanism, None, ciphertext))
            except Refusal:
                raise DisproofError("wrong padding is refused, which tells an attacker of it") from None
        if len(answers) != 1:
            raise DisproofError("wrong padding gives another plaintext each time, which tells an attacker of it")

    return Proof(mechanism, Usage.DECRYPT, key_type, run)


def wraps(mechanism: int, key_type: str, target: str, known: str = "", parameters: Parameters | None = None) -> Proof:
    """The wrapped key is the known one, and comes back; a changed one does not."""

    def run(keys: KnownKeys) -> None:
        backend, record = keys.backend, keys.record(key_type)
        wrapped = backend.wrap_key(record, mechanism, parameters, keys.record(target))
        if known:
            _expect("wrapped key", wrapped, known)
        back = backend.unwrap_key(record, mechanism, parameters, wrapped, KEY_TYPES[target])
        if keys.mac_of(back) != keys.loaded(target).sign(ckm.CKM_SHA256_HMAC, None, MESSAGE):
            raise DisproofError("another key came back")
        changed = _changed(wrapped)
        _refuses(lambda: backend.unwrap_key(record, mechanism, parameters, changed, KEY_TYPES[target]), Status.BAD_DATA)

    return Proof(mechanism, _WRAPPING, key_type, run)


def derives(mechanism: int, key_type: str, material: str, parameters: Parameters) -> Proof:
    """The new key has the known material."""

    def run(keys: KnownKeys) -> None:
        made = keys.backend.derive(keys.record(key_type), mechanism, parameters, KEY_TYPES["hmac-256"])
        _same_key(keys, made, bytes.fromhex(material))

    return Proof(mechanism, Usage.DERIVE, key_type, run)


def agrees(key_type: str, shared: str, peer: str = "") -> Proof:
    """The new key is HKDF of the known shared secret with a peer, or with the key's own public key."""

    def run(keys: KnownKeys) -> None:
        record = keys.record(key_type)
        parameters = EcdhParameters(bytes.fromhex(peer) or record.public_key, ckm.CKM_SHA256, b"info", b"salt")
        made = keys.backend.derive(record, ckm.CKM_ECDH1_DERIVE, parameters, KEY_TYPES["hmac-256"])
        extracted = hmac.digest(b"salt", bytes.fromhex(shared), "sha256")
        _same_key(keys, made, hmac.digest(extracted, b"info\x01", "sha256"))

    return Proof(ckm.CKM_ECDH1_DERIVE, Usage.DERIVE, key_type, run)


def encapsulates(key_type: str, ciphertext: bytes, secret: str) -> Proof:
    """Both ends get the same key; a ciphertext that nobody encapsulated gives the known one (implicit rejection)."""

    def run(keys: KnownKeys) -> None:
        backend, record, new = keys.backend, keys.record(key_type), KEY_TYPES["hmac-256"]
        fresh, made = backend.encapsulate(record, ckm.CKM_ML_KEM, None, new)
        again = backend.decapsulate(record, ckm.CKM_ML_KEM, None, fresh, new)
        if keys.mac_of(again) != keys.mac_of(made):
            raise DisproofError("the two ends got different keys")
        _same_key(keys, backend.decapsulate(record, ckm.CKM_ML_KEM, None, ciphertext, new), bytes.fromhex(secret))

    return Proof(ckm.CKM_ML_KEM, Usage.ENCAPSULATE | Usage.DECAPSULATE, key_type, run)


def _expect(what: str, answer: bytes, known: str) -> None:
    if answer.hex() != known and sha256(answer).hexdigest() != known:
        raise DisproofError(f"the {what} is not the known one")


def _same_key(keys: KnownKeys, made: WrappedKey, material: bytes) -> None:
    if keys.mac_of(made) != mac_by(material):
        raise DisproofError("the new key is not the known one")


def _verifies_nothing_else(
    keys: KnownKeys, key_type: str, mechanism: int, parameters: Parameters | None, data: bytes, signature: bytes
) -> None:
    key = keys.loaded(key_type)
    key.verify(mechanism, parameters, data, signature)
    _refuses(lambda: key.verify(mechanism, parameters, data, _changed(signature)), Status.BAD_SIGNATURE)


def _refuses(use: Callable[[], object], status: Status) -> None:
    try:
        use()
    except Refusal as refusal:
        if refusal.status is status:
            return
        raise
    raise DisproofError(f"what should be refused as {status.name} is taken")


def _changed(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])
