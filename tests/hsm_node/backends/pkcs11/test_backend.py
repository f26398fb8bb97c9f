"""Keys in a real token, and the same keys in software and in another token with the same master key."""

from collections.abc import Callable

import msgspec
import pytest

from hsm_node.backends.key_prover import KeyProver
from hsm_node.backends.known_keys import known_material
from hsm_node.backends.pkcs11.backend import Pkcs11Backend
from hsm_node.backends.pkcs11.link import DeviceLink
from hsm_node.backends.pkcs11.master_key import DeviceMasterKey
from hsm_node.backends.software import SoftwareBackend
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import WrappedKey
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.parameters import GcmParameters
from hsm_wire.statuses import Status

MASTER_KEY = bytes(range(32))
SIGNING = {
    "rsa-2048": ckm.CKM_SHA256_RSA_PKCS_PSS,
    "ec-p256": ckm.CKM_ECDSA_SHA256,
    "ec-p384": ckm.CKM_ECDSA_SHA384,
    "ec-p521": ckm.CKM_ECDSA_SHA512,
    "ec-secp256k1": ckm.CKM_ECDSA_SHA256,
    "aes-256": ckm.CKM_AES_CMAC,
    "hmac-256": ckm.CKM_SHA256_HMAC,
    "hmac-512": ckm.CKM_SHA512_HMAC,
}
MAKE = Callable[..., Record]


@pytest.fixture(scope="module")
def software() -> SoftwareBackend:
    return SoftwareBackend(Keyring(MASTER_KEY))


@pytest.fixture(scope="module")
def second(open_link: Callable[..., DeviceLink]) -> Pkcs11Backend:
    """Token `two`, which has the same master key."""
    link = open_link("two")
    return Pkcs11Backend(link, Keyring(DeviceMasterKey(link, 1, link.begun.given_out[0])))


@pytest.fixture
def record_of(make_record: MAKE) -> MAKE:
    def make(key_type: str, made: WrappedKey, number: int = 0) -> Record:
        fields = msgspec.structs.asdict(made)
        return make_record(key_type=key_type, key_id=number.to_bytes(16, "big"), **fields)

    return make


def test_it_offers_what_it_has_proved(backend: Pkcs11Backend) -> None:
    assert set(SIGNING.values()) <= set(backend.offered)
    assert ckm.CKM_AES_GCM in backend.offered
    assert set(SIGNING) <= backend.key_types
    assert "ed25519" not in backend.key_types
    assert {text.split(" ")[0] for text in backend.failures} == {"CKM_RSA_PKCS_OAEP"}


@pytest.mark.parametrize("key_type", SIGNING)
def test_a_key_works_alike_wherever_it_was_made(
    backend: Pkcs11Backend, second: Pkcs11Backend, software: SoftwareBackend, record_of: MAKE, key_type: str
) -> None:
    places = (backend, second, software)
    mechanism = SIGNING[key_type]
    for number, maker in enumerate(places):
        record = record_of(key_type, maker.generate(KEY_TYPES[key_type]), number)
        keys = [place.load(record) for place in places]
        for key in keys:
            signature = key.sign(mechanism, None, b"data")
            for other in keys:
                other.verify(mechanism, None, b"data", signature)
                with pytest.raises(Refusal) as raised:
                    other.verify(mechanism, None, b"Data", signature)
                assert raised.value.status is Status.BAD_SIGNATURE
        for place in places:
            place.forget(*record.place)


@pytest.mark.parametrize("key_type", SIGNING)
def test_an_imported_key_is_the_same_one(
    backend: Pkcs11Backend, software: SoftwareBackend, record_of: MAKE, key_type: str
) -> None:
    material = known_material(key_type) if key_type != "hmac-512" else bytes(64)
    record = record_of(key_type, backend.import_key(KEY_TYPES[key_type], material))
    same = record_of(key_type, software.import_key(KEY_TYPES[key_type], material))
    assert record.public_key == same.public_key
    signature = backend.load(record).sign(SIGNING[key_type], None, b"data")
    software.load(same).verify(SIGNING[key_type], None, b"data", signature)
    backend.forget(*record.place)
    software.forget(*same.place)


def test_what_is_encrypted_there_decrypts_here_and_a_changed_one_is_the_caller_s_fault(
    backend: Pkcs11Backend, software: SoftwareBackend, record_of: MAKE
) -> None:
    record = record_of("aes-256", backend.generate(KEY_TYPES["aes-256"]))
    device, here = backend.load(record), software.load(record)
    for length in (0, 5, 100_000):
        secret, nonce = device.encrypt(ckm.CKM_AES_GCM, None, bytes(length), caller_iv=False)
        given = GcmParameters(nonce)
        assert here.decrypt(ckm.CKM_AES_GCM, given, secret) == bytes(length)
        assert device.decrypt(ckm.CKM_AES_GCM, given, secret) == bytes(length)
        with pytest.raises(Refusal) as raised:
            device.decrypt(ckm.CKM_AES_GCM, given, secret[:-1] + bytes([secret[-1] ^ 1]))
        assert raised.value.status is Status.BAD_DATA
    backend.forget(*record.place)
    software.forget(*record.place)


def test_what_it_cannot_do_is_absent_and_not_executed(backend: Pkcs11Backend, record_of: MAKE) -> None:
    record = record_of("aes-256", backend.generate(KEY_TYPES["aes-256"]))
    own = record_of("ec-p256", backend.generate(KEY_TYPES["ec-p256"]), 8)
    aes = KEY_TYPES["aes-256"]
    asked = [
        lambda: backend.generate(KEY_TYPES["ed25519"]),
        lambda: backend.import_key(KEY_TYPES["ml-dsa-65"], b""),
        lambda: backend.import_key(KEY_TYPES["hmac-256"], bytes(20)),
        lambda: backend.wrap_key(record, ckm.CKM_AES_KEY_WRAP_KWP, None, record),
        lambda: backend.unwrap_key(record, ckm.CKM_AES_KEY_WRAP, None, bytes(40), aes),
        lambda: backend.derive(record, ckm.CKM_HKDF_DERIVE, None, aes),
        lambda: backend.derive(own, ckm.CKM_ECDH1_DERIVE, None, aes),
        lambda: backend.encapsulate(own, ckm.CKM_ML_KEM, None, aes),
        lambda: backend.decapsulate(own, ckm.CKM_ML_KEM, None, b"", aes),
    ]
    for ask in asked:
        with pytest.raises(Refusal) as raised:
            ask()
        assert (raised.value.status, raised.value.not_executed) == (Status.MECHANISM_NOT_HERE, True)


def test_a_record_of_another_master_key_does_not_load(backend: Pkcs11Backend, record_of: MAKE) -> None:
    stranger = SoftwareBackend(Keyring(bytes(32)))
    record = record_of("hmac-256", stranger.generate(KEY_TYPES["hmac-256"]), 9)
    with pytest.raises(Refusal):
        backend.load(record).sign(ckm.CKM_SHA256_HMAC, None, b"")


def test_the_check_key_signs_in_the_device(backend: Pkcs11Backend, link: DeviceLink) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    key = backend.check_key()
    signature = key.sign(b"challenge")
    r, s = (int.from_bytes(signature[half : half + 32], "big") for half in (0, 32))
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.public_point)
    public.verify(utils.encode_dss_signature(r, s), b"challenge", ec.ECDSA(SHA256()))
    assert link.process_id is not None
    assert len(backend.random(16)) == 16


@pytest.mark.parametrize("key_type", ["rsa-2048", "ec-p256", "aes-256", "hmac-256"])
def test_a_key_in_the_device_proves_itself(backend: Pkcs11Backend, record_of: MAKE, key_type: str) -> None:
    record = record_of(key_type, backend.generate(KEY_TYPES[key_type]))
    assert not KeyProver(backend).prove(record).fault
    assert KeyProver(backend).prove(msgspec.structs.replace(record, wrapped=bytes(len(record.wrapped)))).fault
