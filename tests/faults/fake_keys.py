"""The one key of all fake nodes, known to every test: no secret, so that each signature can be verified anywhere."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

COORDINATE_BYTES = 32
_HASHED = ec.ECDSA(hashes.SHA256())
_PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))

FAKE_KEY = ec.derive_private_key(int.from_bytes(b"redoubt fake nodes' only key...."), ec.SECP256R1())
FAKE_PUBLIC_KEY = FAKE_KEY.public_key().public_bytes(
    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
)


def sign(key: ec.EllipticCurvePrivateKey, data: bytes, *, prehashed: bool = False) -> bytes:
    """Return r || s: ECDSA with SHA-256 over the data, or over a digest of 32 bytes."""
    r, s = utils.decode_dss_signature(key.sign(data, _PREHASHED if prehashed else _HASHED))
    return r.to_bytes(COORDINATE_BYTES) + s.to_bytes(COORDINATE_BYTES)


def is_signed(signature: bytes, data: bytes, *, prehashed: bool = False) -> bool:
    """Say whether r || s is the fake key's signature of the data."""
    return _is_signed_by(FAKE_KEY.public_key(), signature, data, prehashed)


def is_check_answer(signature: bytes, public_key: bytes, challenge: bytes) -> bool:
    """Say whether an answer to CHECK is a true one."""
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
    return _is_signed_by(point, signature, challenge, prehashed=False)


def point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public point, uncompressed."""
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _is_signed_by(key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes, prehashed: bool) -> bool:
    if len(signature) != 2 * COORDINATE_BYTES:
        return False
    r, s = int.from_bytes(signature[:COORDINATE_BYTES]), int.from_bytes(signature[COORDINATE_BYTES:])
    try:
        key.verify(utils.encode_dss_signature(r, s), data, _PREHASHED if prehashed else _HASHED)
    except InvalidSignature:
        return False
    return True
