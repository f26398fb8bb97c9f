import hashlib

from hsm_node.backends.known_keys import MESSAGE, KnownKeys, known_material, mac_by
from hsm_node.backends.software import SoftwareBackend
from hsm_node.core.keyring import Keyring
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import KEY_TYPES


def test_a_known_key_is_imported_once_and_works(keyring: Keyring) -> None:
    keys = KnownKeys(SoftwareBackend(keyring))
    assert keys.record("hmac-256") is keys.record("hmac-256")
    assert keys.loaded("hmac-256").sign(ckm.CKM_SHA256_HMAC, None, MESSAGE) == mac_by(20 * b"\x0b")


def test_a_new_key_is_told_by_its_mac(keyring: Keyring) -> None:
    backend = SoftwareBackend(keyring)
    keys = KnownKeys(backend)
    for material in (bytes(32), bytes(range(32))):
        assert keys.mac_of(backend.import_key(KEY_TYPES["hmac-256"], material)) == mac_by(material)


def test_nothing_stays_loaded(keyring: Keyring) -> None:
    keys = KnownKeys(SoftwareBackend(keyring))
    first = keys.loaded("aes-256")
    assert keys.loaded("aes-256") is first
    keys.clear()
    assert keys.loaded("aes-256") is not first


def test_the_fixed_rsa_key_stays_the_same() -> None:
    # What the self-test compares was signed with this one.
    known = "48bde0a82fe11e3da2c240617f38f7c41c6a5f2394ecb7259ade0d0e4146f9ed"
    assert hashlib.sha256(known_material("rsa-2048")).hexdigest() == known
