"""ECDSA signatures: PKCS#11's r || s on the wire, DER (RFC 3279) for applications. DigestInfo for RSA. Public keys."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_client.errors import BadSignature, KeyType, UnknownMechanism
from hsm_wire.messages import KeyInfo
from hsm_wire.statuses import Status

COORDINATE_BYTES = {"ec-p256": 32, "ec-p384": 48, "ec-p521": 66, "ec-secp256k1": 32}
"""Key type -> bytes of r and of s: the length of the curve's order."""

# DER of DigestInfo up to the digest (RFC 8017, section 9.2, note 1).
_DIGEST_INFO_PREFIX = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


def ecdsa_der(raw: bytes) -> bytes:
    """Return the DER form of r || s."""
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


def ecdsa_raw(der: bytes, key_type: str) -> bytes:
    """Return r || s of a DER signature.

    Raises:
        BadSignature: it is no DER signature of that curve.
    """
    size = COORDINATE_BYTES[key_type]
    try:
        r, s = decode_dss_signature(der)
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    except (ValueError, OverflowError):
        raise BadSignature(
            f"the signature is not an ECDSA signature of {key_type} in DER", status=Status.BAD_SIGNATURE
        ) from None


def digest_info(hash_name: str, digest: bytes) -> bytes:
    """Return what CKM_RSA_PKCS signs for a digest."""
    prefix = _DIGEST_INFO_PREFIX.get(hash_name)
    if prefix is None:
        raise UnknownMechanism(
            f"RSA PKCS#1 with {hash_name} is not offered; use sha256, sha384 or sha512",
            status=Status.UNKNOWN_MECHANISM,
        )
    return prefix + digest


def load_public_key(info: KeyInfo) -> PublicKeyTypes:
    """Return the public part of a key; raises KeyType for a secret key, or one that `cryptography` cannot load."""
    if not info.public_key:
        raise KeyType(f"a key of type {info.key_type} has no public part", status=Status.KEY_TYPE)
    try:
        return load_der_public_key(info.public_key)
    except UnsupportedAlgorithm:
        raise KeyType(
            f"the `cryptography` installed here does not know keys of type {info.key_type}; use info.public_key (DER)",
            status=Status.KEY_TYPE,
        ) from None
