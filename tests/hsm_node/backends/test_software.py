from collections.abc import Callable
from functools import partial

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding

from hsm_node.backends.base import Outcome
from hsm_node.backends.software import IMPLEMENTED, SoftwareBackend
from hsm_node.core.keyring import Keyring, KeyringError
from hsm_node.core.lifecycle import WrappedKey
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.parameters import CKG_MGF1_SHA256, HkdfParameters, OaepParameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

Make = Callable[..., Record]


def der(private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey) -> bytes:
    return private.private_bytes(s.Encoding.DER, s.PrivateFormat.PKCS8, s.NoEncryption())


@pytest.mark.parametrize("name", sorted(set(KEY_TYPES) - {"rsa-3072", "rsa-4096", "rsa-6144", "rsa-8192"}))
def test_a_generated_key_can_be_loaded_and_is_cached(name: str, keyring: Keyring, make_record: Make) -> None:
    backend = SoftwareBackend(keyring)
    made = backend.generate(KEY_TYPES[name])
    record = make_record(key_type=name, wrapped=made.wrapped, true_length=made.true_length)
    key = backend.load(record)
    assert backend.load(record) is key
    backend.forget(1, record.key_id)
    assert backend.load(record) is not key
    assert bool(made.public_key) is not KEY_TYPES[name].symmetric


def test_imported_keys_are_what_they_were(keyring: Keyring, make_record: Make) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    backend = SoftwareBackend(keyring)
    made = backend.import_key(KEY_TYPES["ed25519"], der(private))
    record = make_record(key_type="ed25519", wrapped=made.wrapped, true_length=made.true_length)
    assert backend.load(record).sign(ckm.CKM_EDDSA, None, b"x") == private.sign(b"x")


@pytest.mark.parametrize(
    ("name", "material"),
    [
        ("ec-p256", b"not der"),
        ("ec-p256", der(ec.generate_private_key(ec.SECP384R1()))),
        ("ed25519", der(x25519.X25519PrivateKey.generate())),
        ("rsa-2048", der(ed25519.Ed25519PrivateKey.generate())),
        ("aes-256", bytes(16)),
        ("hmac-256", bytes(4)),
        ("secret-256", bytes(15)),
    ],
    ids=["no der", "another curve", "x25519 for ed25519", "ed25519 for rsa", "aes short", "hmac short", "secret short"],
)
def test_material_of_another_type_is_refused(name: str, material: bytes, keyring: Keyring) -> None:
    with pytest.raises(Refusal):
        SoftwareBackend(keyring).import_key(KEY_TYPES[name], material)


def record_of(make_record: Make, name: str, made: WrappedKey, key_id: bytes = b"k" * 16) -> Record:
    return make_record(key_type=name, wrapped=made.wrapped, true_length=made.true_length, key_id=key_id)


def test_wrapped_keys_come_back_as_they_were(keyring: Keyring, make_record: Make) -> None:
    backend = SoftwareBackend(keyring)
    wrapping = record_of(make_record, "aes-256", backend.generate(KEY_TYPES["aes-256"]))
    for name in ("aes-128", "hmac-512", "secret-256", "ec-p521", "x25519", "ml-dsa-65", "ml-kem-1024"):
        made = backend.generate(KEY_TYPES[name])
        target = record_of(make_record, name, made, b"t" * 16)
        wrapped = backend.wrap_key(wrapping, ckm.CKM_AES_KEY_WRAP_KWP, None, target)
        back = backend.unwrap_key(wrapping, ckm.CKM_AES_KEY_WRAP_KWP, None, wrapped, KEY_TYPES[name])
        material = keyring.unwrap(made.wrapped, made.true_length)
        assert keyring.unwrap(back.wrapped, back.true_length) == material
        assert back.public_key == made.public_key
        assert aes_key_unwrap_with_padding(keyring.unwrap(wrapping.wrapped, 32), wrapped) == material


def test_whatever_is_wrong_with_a_wrapped_key_it_gets_one_answer(keyring: Keyring, make_record: Make) -> None:
    backend = SoftwareBackend(keyring)
    wrapping = record_of(make_record, "aes-256", backend.generate(KEY_TYPES["aes-256"]))
    target = record_of(make_record, "aes-192", backend.generate(KEY_TYPES["aes-192"]), b"t" * 16)
    wrapped = backend.wrap_key(wrapping, ckm.CKM_AES_KEY_WRAP, None, target)
    details = set()
    for bad in (wrapped, wrapped[:-1], b"", bytes(40)):
        with pytest.raises(Refusal) as refused:
            backend.unwrap_key(wrapping, ckm.CKM_AES_KEY_WRAP, None, bad, KEY_TYPES["aes-256"])
        assert refused.value.status is Status.BAD_DATA
        details.add(refused.value.detail)
    assert len(details) == 1
    backend.unwrap_key(wrapping, ckm.CKM_AES_KEY_WRAP, None, wrapped, KEY_TYPES["aes-192"])


def test_wrong_parameters_of_an_unwrapping_are_named(keyring: Keyring, make_record: Make) -> None:
    backend = SoftwareBackend(keyring)
    wrapping = record_of(make_record, "rsa-2048", backend.generate(KEY_TYPES["rsa-2048"]))
    sha_1 = OaepParameters(ckm.CKM_SHA_1, CKG_MGF1_SHA256)
    with pytest.raises(Refusal, match="the hash 0x0220") as refused:
        backend.unwrap_key(wrapping, ckm.CKM_RSA_PKCS_OAEP, sha_1, bytes(256), KEY_TYPES["aes-256"])
    assert refused.value.status is Status.BAD_REQUEST


@pytest.mark.parametrize("name", ["aes-128", "aes-256", "hmac-512", "secret-256"])
def test_a_derived_key_has_its_type_s_length(name: str, keyring: Keyring, make_record: Make) -> None:
    backend = SoftwareBackend(keyring)
    secret = record_of(make_record, "secret-256", backend.generate(KEY_TYPES["secret-256"]))
    made = backend.derive(secret, ckm.CKM_HKDF_DERIVE, HkdfParameters(ckm.CKM_SHA256), KEY_TYPES[name])
    again = backend.derive(secret, ckm.CKM_HKDF_DERIVE, HkdfParameters(ckm.CKM_SHA256), KEY_TYPES[name])
    assert made.true_length * 8 == KEY_TYPES[name].size
    assert made == again
    backend.load(record_of(make_record, name, made, b"d" * 16))


def test_both_ends_of_an_encapsulation_have_the_same_key(keyring: Keyring, make_record: Make) -> None:
    backend = SoftwareBackend(keyring)
    pair = record_of(make_record, "ml-kem-768", backend.generate(KEY_TYPES["ml-kem-768"]))
    for name in ("aes-256", "hmac-256", "secret-256"):
        ciphertext, one = backend.encapsulate(pair, ckm.CKM_ML_KEM, None, KEY_TYPES[name])
        assert backend.decapsulate(pair, ckm.CKM_ML_KEM, None, ciphertext, KEY_TYPES[name]) == one


def test_only_secret_keys_are_derived_and_of_256_bits_agreed_on(keyring: Keyring, make_record: Make) -> None:
    backend = SoftwareBackend(keyring)
    secret = record_of(make_record, "secret-256", backend.generate(KEY_TYPES["secret-256"]))
    pair = record_of(make_record, "ml-kem-768", backend.generate(KEY_TYPES["ml-kem-768"]), b"p" * 16)
    for row in KEY_TYPES.values():
        work = []
        if not row.symmetric:
            work.append(partial(backend.derive, secret, ckm.CKM_HKDF_DERIVE, HkdfParameters(ckm.CKM_SHA256), row))
        if not row.symmetric or row.size != 256:
            work.append(partial(backend.encapsulate, pair, ckm.CKM_ML_KEM, None, row))
            work.append(partial(backend.decapsulate, pair, ckm.CKM_ML_KEM, None, bytes(1088), row))
        for call in work:
            with pytest.raises(Refusal) as refused:
                call()
            assert refused.value.status is Status.BAD_REQUEST


def test_a_thread_finds_a_loaded_key_and_loads_none(keyring: Keyring, make_record: Make) -> None:
    backend = SoftwareBackend(keyring)
    secret = record_of(make_record, "secret-256", backend.generate(KEY_TYPES["secret-256"]))
    derive = partial(backend.derive, secret, ckm.CKM_HKDF_DERIVE, HkdfParameters(ckm.CKM_SHA256), KEY_TYPES["aes-256"])
    before = derive()
    loaded = backend.load(secret)
    assert derive() == before
    assert backend.load(secret) is loaded


def test_every_mechanism_of_the_table_is_implemented_for_all_it_is_meant_to_do() -> None:
    assert set(IMPLEMENTED) == set(MECHANISMS) - {ckm.CKM_RSA_X_509}
    for number, usages in IMPLEMENTED.items():
        assert usages == MECHANISMS[number].usages


def test_material_of_another_master_key_does_not_load(other_keyring: Keyring, make_record: Make) -> None:
    with pytest.raises(KeyringError):
        SoftwareBackend(other_keyring).load(make_record())


def test_random_bytes_have_the_length_asked_for(keyring: Keyring) -> None:
    backend = SoftwareBackend(keyring)
    assert len(backend.random(33)) == 33
    assert backend.random(16) != backend.random(16)
    assert ckm.CKM_ECDSA in backend.offered
    assert "ec-p256" in backend.key_types


def test_what_failed_its_self_test_is_neither_offered_nor_made(keyring: Keyring) -> None:
    outcome = Outcome({ckm.CKM_AES_GCM: Usage.ENCRYPT, ckm.CKM_ECDSA: Usage.SIGN}, ("CKM_ML_KEM: broken",))
    backend = SoftwareBackend(keyring, outcome)
    assert backend.offered == outcome.offered
    assert backend.failures == ("CKM_ML_KEM: broken",)
    assert backend.key_types == {"aes-128", "aes-192", "aes-256", "ec-p256", "ec-p384", "ec-p521", "ec-secp256k1"}


def test_the_library_is_tested_once_a_process(keyring: Keyring, other_keyring: Keyring) -> None:
    assert SoftwareBackend(keyring).offered is SoftwareBackend(other_keyring).offered
    assert SoftwareBackend(keyring).failures == ()
