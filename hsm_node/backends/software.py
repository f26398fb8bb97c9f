"""The software back end: keys are made, wrapped and used in this process, with `cryptography`.

It is not an HSM: its memory holds the keys that are at work. What it gives is the service, and a place to try it.
"""

import os
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec as ec_keys
from cryptography.hazmat.primitives.asymmetric import rsa as rsa_keys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hsm_node.backends import ec, edwards, rsa, symmetric
from hsm_node.backends.base import LoadedKey
from hsm_node.backends.check_key import CheckKey
from hsm_node.backends.loaded_keys import LoadedKeys
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import WrappedKey
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES, Family, KeyType
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

_PrivateKey = rsa_keys.RSAPrivateKey | ec_keys.EllipticCurvePrivateKey | Ed25519PrivateKey

OFFERED: Final[Mapping[int, Usage]] = {
    **rsa.OFFERED,
    **ec.OFFERED,
    **edwards.OFFERED,
    **symmetric.AES_OFFERED,
    **symmetric.HMAC_OFFERED,
}
OFFERED_TYPES: Final = frozenset(
    name
    for name, row in KEY_TYPES.items()
    if row.family in (Family.RSA, Family.AES, Family.HMAC) or name in ec.CURVES or name == "ed25519"
)


class SoftwareBackend:
    """Implements `Backend`."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._loaded = LoadedKeys()

    @property
    def offered(self) -> Mapping[int, Usage]:
        return OFFERED

    @property
    def key_types(self) -> frozenset[str]:
        return OFFERED_TYPES

    def random(self, length: int) -> bytes:
        return os.urandom(length)

    def generate(self, key_type: KeyType) -> WrappedKey:
        if key_type.symmetric:
            return self._wrapped_secret(os.urandom(key_type.size // 8))
        return self._wrapped_private(_generate_private(key_type))

    def import_key(self, key_type: KeyType, material: bytes) -> WrappedKey:
        if key_type.symmetric:
            if key_type.family is Family.HMAC:
                symmetric.check_hmac_material(material)
            elif len(material) * 8 != key_type.size:
                raise Refusal(Status.BAD_DATA, f"a key of type {key_type.name} has {key_type.size // 8} bytes")
            return self._wrapped_secret(material)
        return self._wrapped_private(_imported_private(key_type, material))

    def load(self, record: Record) -> LoadedKey:
        place = (record.partition, record.key_id)
        key = self._loaded.get(place)
        if key is None:
            key = _at_work(record.key_type, self._keyring.unwrap(record.wrapped, record.true_length))
            self._loaded.put(place, key)
        return key

    def check_key(self) -> CheckKey:
        """Make the key of the deep check."""
        return CheckKey()

    def forget(self, partition: int, key_id: bytes) -> None:
        self._loaded.drop((partition, key_id))

    def _wrapped_secret(self, material: bytes) -> WrappedKey:
        return WrappedKey(self._keyring.wrap(material), len(material), b"")

    def _wrapped_private(self, private: _PrivateKey) -> WrappedKey:
        material = private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return WrappedKey(self._keyring.wrap(material), len(material), public)


def _generate_private(key_type: KeyType) -> _PrivateKey:
    if key_type.family is Family.RSA:
        return rsa_keys.generate_private_key(rsa.PUBLIC_EXPONENT, key_type.size)
    curve = ec.CURVES.get(key_type.name)
    if curve is not None:
        return ec_keys.generate_private_key(curve)
    return Ed25519PrivateKey.generate()


def _imported_private(key_type: KeyType, material: bytes) -> _PrivateKey:
    try:
        private = serialization.load_der_private_key(material, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refusal(Status.BAD_DATA, "the material is not an unencrypted PKCS#8 private key in DER") from None
    if key_type.family is Family.RSA and isinstance(private, rsa_keys.RSAPrivateKey):
        rsa.check_imported(private, key_type.size)
        return private
    curve = ec.CURVES.get(key_type.name)
    if curve is not None and isinstance(private, ec_keys.EllipticCurvePrivateKey) and private.curve.name == curve.name:
        return private
    if key_type.name == "ed25519" and isinstance(private, Ed25519PrivateKey):
        return private
    raise Refusal(Status.BAD_DATA, f"the material is not a key of type {key_type.name}")


def _at_work(key_type: str, material: bytes) -> LoadedKey:
    """Return the key object. The material is our own and authenticated, so RSA's slow checks are left out."""
    family = KEY_TYPES[key_type].family
    if family is Family.AES:
        return symmetric.AesKey(material)
    if family is Family.HMAC:
        return symmetric.HmacKey(material)
    private = serialization.load_der_private_key(material, None, unsafe_skip_rsa_key_validation=True)
    if isinstance(private, rsa_keys.RSAPrivateKey):
        return rsa.RsaKey(private)
    if isinstance(private, ec_keys.EllipticCurvePrivateKey):
        return ec.EcKey(private)
    assert isinstance(private, Ed25519PrivateKey)  # nothing else is ever made or imported
    return edwards.EdwardsKey(private)
