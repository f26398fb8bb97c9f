from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519

from hsm_node.backends.software import OFFERED_TYPES, SoftwareBackend
from hsm_node.core.keyring import Keyring, KeyringError
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import KEY_TYPES

Make = Callable[..., Record]


def der(private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey) -> bytes:
    return private.private_bytes(s.Encoding.DER, s.PrivateFormat.PKCS8, s.NoEncryption())


@pytest.mark.parametrize("name", sorted(OFFERED_TYPES - {"rsa-3072", "rsa-4096", "rsa-6144", "rsa-8192"}))
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
    ],
    ids=["no der", "another curve", "x25519 for ed25519", "ed25519 for rsa", "aes too short", "hmac too short"],
)
def test_material_of_another_type_is_refused(name: str, material: bytes, keyring: Keyring) -> None:
    with pytest.raises(Refusal):
        SoftwareBackend(keyring).import_key(KEY_TYPES[name], material)


def test_material_of_another_master_key_does_not_load(other_keyring: Keyring, make_record: Make) -> None:
    with pytest.raises(KeyringError):
        SoftwareBackend(other_keyring).load(make_record())


def test_random_bytes_have_the_length_asked_for(keyring: Keyring) -> None:
    backend = SoftwareBackend(keyring)
    assert len(backend.random(33)) == 33
    assert backend.random(16) != backend.random(16)
    assert ckm.CKM_ECDSA in backend.offered
    assert "ec-p256" in backend.key_types
