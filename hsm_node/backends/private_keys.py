"""Private keys in the forms in which they are made, imported and kept: PKCS#8, and SubjectPublicKeyInfo, in DER."""

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey, MLDSA87PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM1024PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from hsm_node.backends import ec, rsa
from hsm_node.backends.edwards import EdwardsKey, EdwardsPrivate
from hsm_node.backends.key_agreement import X25519Key
from hsm_node.backends.post_quantum import MlDsaKey, MlDsaPrivate, MlKemKey, MlKemPrivate
from hsm_node.backends.software_key import SoftwareKey
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import Family, KeyType
from hsm_wire.statuses import Status

_OneType = EdwardsPrivate | X25519PrivateKey | MlDsaPrivate | MlKemPrivate
PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | _OneType

# Types that are known by the class alone.
_CLASSES: Final[dict[str, type[_OneType]]] = {
    "ed25519": Ed25519PrivateKey,
    "ed448": Ed448PrivateKey,
    "x25519": X25519PrivateKey,
    "ml-dsa-44": MLDSA44PrivateKey,
    "ml-dsa-65": MLDSA65PrivateKey,
    "ml-dsa-87": MLDSA87PrivateKey,
    "ml-kem-768": MLKEM768PrivateKey,
    "ml-kem-1024": MLKEM1024PrivateKey,
}


def generated(key_type: KeyType) -> PrivateKey:
    """Make a key."""
    if key_type.family is Family.RSA:
        return generate_rsa(rsa.PUBLIC_EXPONENT, key_type.size)
    if key_type.family is Family.EC:
        return generate_private_key(ec.CURVES[key_type.name])
    return _CLASSES[key_type.name].generate()


def imported(key_type: KeyType, material: bytes) -> PrivateKey:
    """Return the key of PKCS#8 in DER; ML-DSA and ML-KEM in the form that holds the seed (RFC 9881, RFC 9935)."""
    try:
        # RSA's numbers are looked at below: the library would hold the whole process up with it.
        private = serialization.load_der_private_key(material, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refusal(Status.BAD_DATA, "the material is not an unencrypted PKCS#8 private key in DER") from None
    if isinstance(private, PrivateKey) and _is_of_type(private, key_type):
        return private
    raise Refusal(Status.BAD_DATA, f"the material is not a key of type {key_type.name}")


def check_none(material: bytes) -> None:
    """Refuse a private key as the bytes of a secret one: wrapped bytes do not say which they are."""
    try:
        serialization.load_der_private_key(material, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return
    raise Refusal(Status.BAD_DATA, "the material is a private key")


def pkcs8(private: PrivateKey) -> bytes:
    """Return the private key as it is kept and wrapped."""
    return private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_info(private: PrivateKey) -> bytes:
    """Return the public key's SubjectPublicKeyInfo."""
    return private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def at_work(material: bytes) -> SoftwareKey:
    """Return the key object. The material is our own and authenticated, so RSA's slow checks are left out."""
    private = serialization.load_der_private_key(material, None, unsafe_skip_rsa_key_validation=True)
    if isinstance(private, RSAPrivateKey):
        return rsa.RsaKey(private)
    if isinstance(private, EllipticCurvePrivateKey):
        return ec.EcKey(private)
    if isinstance(private, EdwardsPrivate):
        return EdwardsKey(private)
    if isinstance(private, X25519PrivateKey):
        return X25519Key(private)
    if isinstance(private, MlDsaPrivate):
        return MlDsaKey(private)
    assert isinstance(private, MlKemPrivate)  # nothing else is ever made or imported
    return MlKemKey(private)


def _is_of_type(private: PrivateKey, key_type: KeyType) -> bool:
    if isinstance(private, RSAPrivateKey):
        if key_type.family is Family.RSA:
            rsa.check_imported(private, key_type.size)
        return key_type.family is Family.RSA
    if isinstance(private, EllipticCurvePrivateKey):
        return key_type.family is Family.EC and private.curve.name == ec.CURVES[key_type.name].name
    wanted = _CLASSES.get(key_type.name)
    return wanted is not None and isinstance(private, wanted)
