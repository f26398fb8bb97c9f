"""The prover finds what a MAC over a record cannot: a key that is not the one that its owner has, or does not work."""

import os
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from hsm_node.backends.key_prover import KeyProver
from hsm_node.backends.known_keys import known_material, temporary_record
from hsm_node.backends.private_keys import generated, pkcs8
from hsm_node.backends.software import SoftwareBackend
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import WrappedKey
from hsm_node.core.records import Record
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.usages import Usage

TYPES = sorted(name for name in KEY_TYPES if not name.startswith("rsa-") or name == "rsa-2048")
"""Longer RSA keys take seconds to make, and differ in nothing."""
PAIRS = [name for name in TYPES if not KEY_TYPES[name].symmetric]


@pytest.fixture
def backend(keyring: Keyring) -> SoftwareBackend:
    return SoftwareBackend(keyring)


def record_of(backend: SoftwareBackend, key_type: str, **changes: object) -> Record:
    made = backend.import_key(KEY_TYPES[key_type], known_material(key_type))
    return msgspec.structs.replace(temporary_record(key_type, made), **changes)


@pytest.mark.parametrize("key_type", TYPES)
def test_a_key_of_every_type_is_proven_for_all_that_it_may_do(backend: SoftwareBackend, key_type: str) -> None:
    proven = KeyProver(backend).prove(record_of(backend, key_type))
    assert (proven.fault, proven.usages) == ("", KEY_TYPES[key_type].usages)


def test_a_key_is_tried_for_nothing_that_it_is_not_for(backend: SoftwareBackend) -> None:
    proven = KeyProver(backend).prove(record_of(backend, "ec-p256", usage=int(Usage.DERIVE)))
    assert (proven.fault, proven.usages) == ("", Usage.DERIVE)


def test_a_key_that_may_only_do_what_proves_nothing_is_tried_all_the_same(backend: SoftwareBackend) -> None:
    proven = KeyProver(backend).prove(record_of(backend, "hmac-256", usage=0))
    assert (proven.fault, proven.usages) == ("", Usage.SIGN | Usage.VERIFY)


@pytest.mark.parametrize("key_type", PAIRS)
def test_another_key_than_its_owner_has_is_found(backend: SoftwareBackend, key_type: str) -> None:
    other = backend.import_key(KEY_TYPES[key_type], pkcs8(generated(KEY_TYPES[key_type])))
    record = record_of(backend, key_type, wrapped=other.wrapped, true_length=other.true_length)
    assert KeyProver(backend).prove(record).fault


@pytest.mark.parametrize("key_type", ["rsa-2048", "ec-p256", "x25519", "ml-kem-768", "ed25519"])
def test_a_public_key_of_another_type_is_found(backend: SoftwareBackend, key_type: str) -> None:
    odd = record_of(backend, "ed25519" if key_type != "ed25519" else "x25519").public_key
    for usage in Usage:
        proven = KeyProver(backend).prove(record_of(backend, key_type, public_key=odd, usage=int(usage)))
        assert "public key" in proven.fault


@pytest.mark.parametrize("key_type", TYPES)
def test_a_key_under_another_master_key_is_found(
    backend: SoftwareBackend, other_keyring: Keyring, key_type: str
) -> None:
    record = record_of(SoftwareBackend(other_keyring), key_type)
    assert KeyProver(backend).prove(record).fault == (
        "unwrap: the wrapped material does not open under this master key"
    )


def test_a_public_key_that_is_none_is_found(backend: SoftwareBackend) -> None:
    fault = KeyProver(backend).prove(record_of(backend, "ec-p256", public_key=b"no key")).fault
    assert fault == "unwrap: the material is no such key, or the operation failed (ValueError)"


def test_material_that_is_no_key_is_found_and_not_told(backend: SoftwareBackend, keyring: Keyring) -> None:
    secret = os.urandom(32)
    record = record_of(backend, "ed25519", wrapped=keyring.wrap(secret), true_length=32)
    fault = KeyProver(backend).prove(record).fault
    assert fault
    assert secret.hex() not in fault


def test_what_is_proven_stays_nowhere(backend: SoftwareBackend) -> None:
    for key_type in ("ec-p256", "aes-256", "ml-kem-768"):
        assert not KeyProver(backend).prove(record_of(backend, key_type)).fault
    assert not len(backend._loaded)


class Odd(SoftwareBackend):
    """Does one thing wrong."""

    def __init__(self, keyring: Keyring, offered: Mapping[int, Usage] | None = None) -> None:
        super().__init__(keyring)
        self._left = offered
        self._other = SoftwareBackend(keyring)

    @property
    def offered(self) -> Mapping[int, Usage]:
        return super().offered if self._left is None else self._left

    def unwrap_key(self, *_given: Any) -> WrappedKey:
        return self._made_by_chance()

    def derive(self, *_given: Any) -> WrappedKey:
        return self._made_by_chance()

    def decapsulate(self, *_given: Any) -> WrappedKey:
        return self._made_by_chance()

    def _made_by_chance(self) -> WrappedKey:
        return self._other.generate(KEY_TYPES["hmac-256"])


@pytest.mark.parametrize(
    ("key_type", "usage"),
    [
        ("ec-p256", Usage.DERIVE),
        ("x25519", Usage.DERIVE),
        ("secret-256", Usage.DERIVE),
        ("ml-kem-1024", Usage.DECAPSULATE),
        ("aes-256", Usage.UNWRAP),
    ],
)
def test_a_new_key_that_is_another_one_is_found(keyring: Keyring, key_type: str, usage: Usage) -> None:
    backend = Odd(keyring)
    assert "key" in KeyProver(backend).prove(record_of(backend, key_type, usage=int(usage))).fault


class OddKey:
    """A secret key that is broken."""

    def sign(self, *_given: object) -> bytes:
        return bytes(16)

    def verify(self, *_given: object) -> None:
        pass

    def encrypt(self, _mechanism: int, _parameters: object, data: bytes, *, caller_iv: bool) -> tuple[bytes, bytes]:
        return (data if caller_iv else b""), b""


@pytest.mark.parametrize(
    ("usage", "fault"),
    [(Usage.SIGN, "two messages have one MAC"), (Usage.ENCRYPT, "what it encrypts is not encrypted")],
)
def test_a_secret_key_that_computes_nothing_is_found(
    backend: SoftwareBackend, monkeypatch: pytest.MonkeyPatch, usage: Usage, fault: str
) -> None:
    record = record_of(backend, "aes-256", usage=int(usage))
    monkeypatch.setattr(backend, "fresh", lambda _record: OddKey())
    assert fault in KeyProver(backend).prove(record).fault


def test_a_ciphertext_that_comes_back_as_another_text_is_found(
    backend: SoftwareBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = record_of(backend, "rsa-2048", usage=int(Usage.DECRYPT))
    key = backend.fresh(record)
    monkeypatch.setattr(type(key), "decrypt", lambda *_given: b"another")
    assert "does not decrypt" in KeyProver(backend).prove(record).fault


def test_a_type_that_the_back_end_does_not_serve_is_a_fault(keyring: Keyring) -> None:
    backend = Odd(keyring, {})
    fault = KeyProver(backend).prove(record_of(backend, "ml-dsa-65")).fault
    assert fault == "this node offers nothing of what a key of type ml-dsa-65 is for"


def test_a_key_whose_only_use_is_not_served_here_is_a_fault(keyring: Keyring) -> None:
    backend = Odd(keyring, {ckm.CKM_AES_CMAC: Usage.SIGN | Usage.VERIFY})
    assert "nothing of what" in KeyProver(backend).prove(record_of(backend, "aes-256", usage=int(Usage.WRAP))).fault


def test_an_aes_key_is_proven_by_gcm_where_nothing_else_encrypts(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Odd(keyring, {ckm.CKM_AES_GCM: Usage.ENCRYPT | Usage.DECRYPT})
    record = record_of(backend, "aes-256", usage=int(Usage.DECRYPT))
    assert KeyProver(backend).prove(record) == (Usage.ENCRYPT | Usage.DECRYPT, "")
    monkeypatch.setattr(type(backend.fresh(record)), "decrypt", lambda *_given: b"another")
    assert "does not decrypt" in KeyProver(backend).prove(record).fault


def test_rsa_is_proven_by_the_older_signature_where_the_newer_one_is_missing(keyring: Keyring) -> None:
    backend = Odd(keyring, {ckm.CKM_SHA256_RSA_PKCS: Usage.SIGN | Usage.VERIFY})
    assert KeyProver(backend).prove(record_of(backend, "rsa-2048")) == (Usage.SIGN | Usage.VERIFY, "")


def test_the_end_of_the_process_is_no_fault_of_the_key(
    backend: SoftwareBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_record: Record) -> None:
        raise KeyboardInterrupt

    record = record_of(backend, "hmac-256")
    monkeypatch.setattr(backend, "fresh", interrupted)
    with pytest.raises(KeyboardInterrupt):
        KeyProver(backend).prove(record)


def test_a_panic_of_a_library_is_a_fault_of_the_key(backend: SoftwareBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicError(BaseException):
        pass

    def panics(_record: Record) -> None:
        raise PanicError

    record = record_of(backend, "hmac-256")
    monkeypatch.setattr(backend, "fresh", panics)
    assert "PanicError" in KeyProver(backend).prove(record).fault
