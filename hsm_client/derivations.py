"""Parameters of the mechanisms that make a key from another one: ECDH and HKDF."""

from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from hsm_client.errors import make_error
from hsm_wire import parameters as p
from hsm_wire.mechanisms import HASH_NAMES
from hsm_wire.statuses import Status

NUMBER_OF_HASH: Final = {name: number for number, name in HASH_NAMES.items()}
PeerPublicKey = bytes | ec.EllipticCurvePublicKey | x25519.X25519PublicKey
"""The other side's public key: of `cryptography`, or SubjectPublicKeyInfo in DER."""


def ecdh_parameters(peer: PeerPublicKey, kdf_hash: str, info: bytes, salt: bytes) -> p.EcdhParameters:
    """Return the parameters of a key agreement whose shared secret goes through HKDF with that hash."""
    if not isinstance(peer, bytes):
        peer = peer.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return p.EcdhParameters(peer, _number_of(kdf_hash), info, salt)


def hkdf_parameters(hash_name: str, salt: bytes, info: bytes) -> p.HkdfParameters:
    """Return the parameters of HKDF with extract and expand (RFC 5869)."""
    return p.HkdfParameters(_number_of(hash_name), salt, info)


def _number_of(hash_name: str) -> int:
    number = NUMBER_OF_HASH.get(hash_name)
    if number is None:
        raise make_error(Status.UNKNOWN_MECHANISM, f"unknown hash {hash_name!r}; use {', '.join(NUMBER_OF_HASH)}")
    return number
