import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hsm_node.backends.ec import CURVES, EcKey
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.parameters import EcdhParameters
from hsm_wire.statuses import Status


def der(public: ec.EllipticCurvePublicKey | x25519.X25519PublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def derived(private: ec.EllipticCurvePrivateKey, peer: bytes) -> bytes:
    return EcKey(private).derive(ckm.CKM_ECDH1_DERIVE, EcdhParameters(peer, ckm.CKM_SHA384, b"info", b"salt"), 32)


@pytest.mark.parametrize(("name", "size"), [("ec-p256", 32), ("ec-p384", 48), ("ec-p521", 66), ("ec-secp256k1", 32)])
def test_signatures_are_r_and_s_and_verify_elsewhere(name: str, size: int) -> None:
    private = ec.generate_private_key(CURVES[name])
    key = EcKey(private)
    signature = key.sign(ckm.CKM_ECDSA_SHA256, None, b"data")
    assert len(signature) == 2 * size
    der = encode_dss_signature(int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big"))
    private.public_key().verify(der, b"data", ec.ECDSA(hashes.SHA256()))
    key.verify(ckm.CKM_ECDSA, None, hashlib.sha256(b"data").digest(), signature)


def test_the_published_p256_vector_of_rfc_6979_verifies() -> None:
    private = ec.derive_private_key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1())
    signature = bytes.fromhex(
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    )
    EcKey(private).verify(ckm.CKM_ECDSA_SHA256, None, b"sample", signature)


def test_wrong_signatures_and_digests_are_refused() -> None:
    key = EcKey(ec.generate_private_key(ec.SECP256R1()))
    for signature in (b"", bytes(64), b"\xff" * 64, bytes(63)):
        with pytest.raises(Refusal) as refused:
            key.verify(ckm.CKM_ECDSA_SHA256, None, b"data", signature)
        assert refused.value.status is Status.BAD_SIGNATURE
    with pytest.raises(Refusal, match="digest"):
        key.sign(ckm.CKM_ECDSA, None, b"not a digest")


@pytest.mark.parametrize("name", sorted(CURVES))
def test_both_sides_of_an_agreement_derive_the_same_key(name: str) -> None:
    one, other = ec.generate_private_key(CURVES[name]), ec.generate_private_key(CURVES[name])
    key = derived(one, der(other.public_key()))
    assert key == derived(other, der(one.public_key()))
    extracted = hmac.digest(b"salt", one.exchange(ec.ECDH(), other.public_key()), "sha384")
    assert key == hmac.digest(extracted, b"info\x01", "sha384")[:32]


def test_a_peer_of_another_curve_or_off_the_curve_is_refused() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    right = der(private.public_key())
    for peer, reason in (
        (der(ec.generate_private_key(ec.SECP256K1()).public_key()), "not on the curve secp256r1"),
        (der(ec.generate_private_key(ec.SECP521R1()).public_key()), "not on the curve secp256r1"),
        (der(x25519.X25519PrivateKey.generate().public_key()), "not on the curve secp256r1"),
        (right[:-1] + bytes([right[-1] ^ 1]), "not a SubjectPublicKeyInfo"),
        (right[:-64] + bytes(64), "not a SubjectPublicKeyInfo"),
        (right[:-1], "not a SubjectPublicKeyInfo"),
        (
            private.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint),
            "not",
        ),
    ):
        with pytest.raises(Refusal, match=reason) as refused:
            derived(private, peer)
        assert refused.value.status is Status.BAD_DATA


def test_the_point_at_infinity_is_no_peer() -> None:
    head = bytes.fromhex("3019301306072a8648ce3d020106082a8648ce3d03010703020000")
    with pytest.raises(Refusal, match="not a SubjectPublicKeyInfo"):
        derived(ec.generate_private_key(ec.SECP256R1()), head)
