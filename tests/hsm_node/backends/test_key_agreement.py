import hmac

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from hsm_node.backends.key_agreement import MAX_PEER_BYTES, X25519Key
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.parameters import EcdhParameters
from hsm_wire.statuses import Status

# RFC 7748, section 5.2: scalar, u-coordinate of the peer, shared secret.
SCALAR = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
PEER = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
SHARED = bytes.fromhex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
KEY = X25519Key(x25519.X25519PrivateKey.from_private_bytes(SCALAR))


def der(public: PublicKeyTypes) -> bytes:
    return public.public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)


def derived(peer: bytes, kdf_hash: int = ckm.CKM_SHA256) -> bytes:
    return KEY.derive(ckm.CKM_ECDH1_DERIVE, EcdhParameters(peer, kdf_hash, b"info", b"salt"), 32)


def test_the_new_key_is_hkdf_of_the_published_shared_secret() -> None:
    extracted = hmac.digest(b"salt", SHARED, "sha256")
    peer = der(x25519.X25519PublicKey.from_public_bytes(PEER))
    assert derived(peer) == hmac.digest(extracted, b"info\x01", "sha256")
    assert derived(peer) != derived(peer, ckm.CKM_SHA512)


@pytest.mark.parametrize("small_order", [bytes(32), b"\x01" + bytes(31)])
def test_a_shared_secret_of_zeros_is_refused(small_order: bytes) -> None:
    with pytest.raises(Refusal, match="zeros") as refused:
        derived(der(x25519.X25519PublicKey.from_public_bytes(small_order)))
    assert refused.value.status is Status.BAD_DATA


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        (b"", "not a SubjectPublicKeyInfo"),
        (PEER, "not a SubjectPublicKeyInfo"),
        (der(x25519.X25519PublicKey.from_public_bytes(PEER)) + b"\x00", "not a SubjectPublicKeyInfo"),
        (bytes(MAX_PEER_BYTES + 1), "more than 256 bytes"),
        (der(x448.X448PrivateKey.generate().public_key()), "not an X25519 key"),
        (der(ec.generate_private_key(ec.SECP256R1()).public_key()), "not an X25519 key"),
    ],
    ids=["nothing", "raw bytes", "a byte too many", "too long", "X448", "P-256"],
)
def test_what_is_no_public_key_of_this_type_is_refused(peer: bytes, reason: str) -> None:
    with pytest.raises(Refusal, match=reason) as refused:
        derived(peer)
    assert refused.value.status is Status.BAD_DATA


def test_the_hash_of_the_derivation_is_one_of_three() -> None:
    with pytest.raises(Refusal) as refused:
        derived(der(x25519.X25519PublicKey.from_public_bytes(PEER)), ckm.CKM_SHA_1)
    assert refused.value.status is Status.BAD_REQUEST
