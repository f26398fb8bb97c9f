import time
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from hsm_node.backends.base import LoadedKey, bad_ciphertext
from hsm_node.backends.self_test import prove
from hsm_node.backends.software import IMPLEMENTED, SoftwareBackend
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import WrappedKey
from hsm_node.core.records import Record
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import KeyType
from hsm_wire.parameters import Parameters
from hsm_wire.usages import Usage

MAX_S = 3.0
"""It takes 0.06 s; tests run beside others."""


class Faulty(SoftwareBackend):
    """Does one thing wrong: a method of the back end, or of its keys, with one mechanism."""

    def __init__(self, keyring: Keyring, method: str, mechanism: int, fault: Callable[[Any], Any]) -> None:
        super().__init__(keyring)
        self.fault = (method, mechanism, fault)

    def load(self, record: Record) -> LoadedKey:
        return FaultyKey(super().load(record), self.fault)

    def derive(self, record: Record, mechanism: int, parameters: Parameters | None, key_type: KeyType) -> WrappedKey:
        return self._spoilt("derive", mechanism, super().derive(record, mechanism, parameters, key_type))

    def wrap_key(self, record: Record, mechanism: int, parameters: Parameters | None, target: Record) -> bytes:
        return self._spoilt("wrap", mechanism, super().wrap_key(record, mechanism, parameters, target))

    def decapsulate(
        self, record: Record, mechanism: int, parameters: Parameters | None, ciphertext: bytes, key_type: KeyType
    ) -> WrappedKey:
        made = super().decapsulate(record, mechanism, parameters, ciphertext, key_type)
        return self._spoilt("decapsulate", mechanism, made)

    def _spoilt(self, method: str, mechanism: int, answer: Any) -> Any:
        return self.fault[2](answer) if (method, mechanism) == self.fault[:2] else answer


class FaultyKey(LoadedKey):
    def __init__(self, key: LoadedKey, fault: tuple[str, int, Callable[[Any], Any]]) -> None:
        self.key, self.fault = key, fault

    def sign(self, mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        return self._spoilt("sign", mechanism, self.key.sign(mechanism, parameters, data))

    def verify(self, mechanism: int, parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        if self.fault[:2] != ("verify", mechanism):
            self.key.verify(mechanism, parameters, data, signature)

    def encrypt(
        self, mechanism: int, parameters: Parameters | None, data: bytes, *, caller_iv: bool
    ) -> tuple[bytes, bytes]:
        ciphertext, iv = self.key.encrypt(mechanism, parameters, data, caller_iv=caller_iv)
        return self._spoilt("encrypt", mechanism, ciphertext), iv

    def decrypt(self, mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        return self._spoilt("decrypt", mechanism, self.key.decrypt(mechanism, parameters, data))

    def _spoilt(self, method: str, mechanism: int, answer: bytes) -> Any:
        return self.fault[2](answer) if (method, mechanism) == self.fault[:2] else answer


def flipped(answer: bytes) -> bytes:
    return bytes([answer[0] ^ 1]) + answer[1:]


def another(made: WrappedKey) -> WrappedKey:
    return WrappedKey(made.wrapped[:-1] + bytes([made.wrapped[-1] ^ 1]), made.true_length, made.public_key)


def fails(answer: object) -> object:
    raise BaseException("a panic of the library")


def test_everything_that_is_implemented_is_proved_in_a_moment(keyring: Keyring) -> None:
    begun = time.monotonic()
    outcome = prove(SoftwareBackend(keyring), IMPLEMENTED)
    assert outcome.failures == ()
    assert outcome.offered == IMPLEMENTED
    assert time.monotonic() - begun < MAX_S


SIGNERS = [number for number, usages in IMPLEMENTED.items() if usages & Usage.SIGN]
CIPHERS = [number for number, usages in IMPLEMENTED.items() if usages & Usage.ENCRYPT]


@pytest.mark.parametrize(
    ("method", "mechanism", "fault", "lost"),
    [
        *(("sign", number, flipped, Usage.SIGN | Usage.VERIFY) for number in SIGNERS if number != ckm.CKM_SHA256_HMAC),
        *(("verify", number, flipped, Usage.SIGN | Usage.VERIFY) for number in SIGNERS),
        *(("encrypt", number, flipped, Usage.ENCRYPT | Usage.DECRYPT) for number in CIPHERS),
        *(("decrypt", number, flipped, Usage.ENCRYPT | Usage.DECRYPT) for number in CIPHERS),
        ("derive", ckm.CKM_ECDH1_DERIVE, another, Usage.DERIVE),
        ("derive", ckm.CKM_HKDF_DERIVE, another, Usage.DERIVE),
        ("wrap", ckm.CKM_AES_KEY_WRAP, flipped, Usage.WRAP | Usage.UNWRAP),
        ("wrap", ckm.CKM_AES_KEY_WRAP_KWP, flipped, Usage.WRAP | Usage.UNWRAP),
        ("wrap", ckm.CKM_RSA_PKCS_OAEP, flipped, Usage.WRAP | Usage.UNWRAP),
        ("decapsulate", ckm.CKM_ML_KEM, another, Usage.ENCAPSULATE | Usage.DECAPSULATE),
        ("sign", ckm.CKM_ML_DSA, fails, Usage.SIGN | Usage.VERIFY),
    ],
)  # fmt: skip
def test_what_answers_wrongly_is_not_offered_and_everything_else_is(
    method: str, mechanism: int, fault: Callable[[Any], Any], lost: Usage, keyring: Keyring
) -> None:
    outcome = prove(Faulty(keyring, method, mechanism, fault), IMPLEMENTED)
    assert outcome.failures
    assert outcome.offered.get(mechanism, Usage(0)) == IMPLEMENTED[mechanism] & ~lost
    others = {number: usages for number, usages in IMPLEMENTED.items() if number != mechanism}
    assert {number: usages for number, usages in outcome.offered.items() if number != mechanism} == others


class Explicit(SoftwareBackend):
    """Says it when padding is wrong, as OpenSSL did before 3.2: what nobody encrypted with the key is refused."""

    def load(self, record: Record) -> LoadedKey:
        return ExplicitKey(super().load(record))


class ExplicitKey(FaultyKey):
    known: ClassVar[set[bytes]] = set()

    def __init__(self, key: LoadedKey) -> None:
        super().__init__(key, ("", 0, flipped))

    def encrypt(
        self, mechanism: int, parameters: Parameters | None, data: bytes, *, caller_iv: bool
    ) -> tuple[bytes, bytes]:
        ciphertext, iv = super().encrypt(mechanism, parameters, data, caller_iv=caller_iv)
        self.known.add(ciphertext)
        return ciphertext, iv

    def decrypt(self, mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        if mechanism == ckm.CKM_RSA_PKCS and data not in self.known:
            raise bad_ciphertext()
        return super().decrypt(mechanism, parameters, data)


def test_pkcs1_decryption_is_offered_only_where_wrong_padding_is_not_told(keyring: Keyring) -> None:
    outcome = prove(Explicit(keyring), IMPLEMENTED)
    assert outcome.failures == ("CKM_RSA_PKCS with rsa-2048: wrong padding is refused, which tells an attacker of it",)
    assert outcome.offered[ckm.CKM_RSA_PKCS] == IMPLEMENTED[ckm.CKM_RSA_PKCS] & ~Usage.DECRYPT


def test_a_failure_names_the_mechanism_the_type_and_what_is_wrong(keyring: Keyring) -> None:
    wrong = prove(Faulty(keyring, "sign", ckm.CKM_AES_CMAC, flipped), IMPLEMENTED)
    assert wrong.failures == ("CKM_AES_CMAC with aes-128: the signature is not the known one",)
    broken = prove(Faulty(keyring, "derive", ckm.CKM_HKDF_DERIVE, fails), IMPLEMENTED)
    assert broken.failures[0] == "CKM_HKDF_DERIVE with secret-256: BaseException: a panic of the library"


def test_what_nobody_claims_is_not_tried_and_what_has_no_proof_is_not_offered(keyring: Keyring) -> None:
    claimed = {ckm.CKM_AES_GCM: Usage.DECRYPT, ckm.CKM_RSA_X_509: Usage.SIGN}
    assert prove(SoftwareBackend(keyring), claimed).offered == {ckm.CKM_AES_GCM: Usage.DECRYPT}
