"""A key of each type for IMPORT_KEY, made once: RSA would take longer than all the requests."""

import os
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, mlkem, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from hsm_wire.key_types import KEY_TYPES, Family

SMALLEST: Final[dict[Family, str]] = {}
"""The type that stands for its family: the cheapest."""
for _row in KEY_TYPES.values():
    SMALLEST.setdefault(_row.family, _row.name)

_CURVES: Final = {
    "ec-p256": ec.SECP256R1(),
    "ec-p384": ec.SECP384R1(),
    "ec-p521": ec.SECP521R1(),
    "ec-secp256k1": ec.SECP256K1(),
}
_ONE_TYPE: Final[dict[str, Callable[[], object]]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
    "x25519": x25519.X25519PrivateKey.generate,
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey.generate,
    "ml-kem-768": mlkem.MLKEM768PrivateKey.generate,
    "ml-kem-1024": mlkem.MLKEM1024PrivateKey.generate,
}


OURS: Final = "ours"


def material(key_type: str, whose: str = OURS) -> bytes:
    """Return what IMPORT_KEY takes; each name has its own."""
    return _material(key_type, whose)


@cache
def _material(key_type: str, _whose: str) -> bytes:
    row = KEY_TYPES[key_type]
    if row.symmetric:
        return os.urandom(row.size // 8)
    private: Any = _private(key_type)  # of any family
    encoded: bytes = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return encoded


def peer_of(key_type: str) -> bytes:
    """Return the public key of somebody else's key of that type."""
    private: Any = _private(key_type)  # of any family
    encoded: bytes = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _private(key_type: str) -> object:
    row = KEY_TYPES[key_type]
    if row.family is Family.RSA:
        return rsa.generate_private_key(65_537, row.size)
    if row.family is Family.EC:
        return ec.generate_private_key(_CURVES[key_type])
    return _ONE_TYPE[key_type]()
