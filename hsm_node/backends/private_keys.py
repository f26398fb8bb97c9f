"""Private keys in the forms in which they are made, imported and kept: PKCS#8, and SubjectPublicKeyInfo, in DER."""

from typing import Final

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
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
# Object identifiers in DER (RFC 8017, 5480, 8410, 9881, 9935). Nothing else reaches the library: what it says of other
# algorithms is its own matter (it warns of Diffie-Hellman, say), and a key that names RSASSA-PSS is for that alone.
_ALGORITHMS: Final = frozenset(
    bytes.fromhex(oid)
    for oid in (
        "06092a864886f70d010101",  # rsaEncryption
        "06072a8648ce3d0201",  # id-ecPublicKey
        *("06032b6570", "06032b6571", "06032b656e"),  # Ed25519, Ed448, X25519
        *(f"060960864801650304{number}" for number in ("0311", "0312", "0313")),  # ML-DSA-44, 65, 87
        *(f"060960864801650304{number}" for number in ("0402", "0403")),  # ML-KEM-768, 1024
    )
)
_VERSIONS: Final = (b"\x02\x01\x00", b"\x02\x01\x01")
"""Of PKCS#8 (RFC 5958, section 2), in DER."""
_SEQUENCE: Final = b"\x30"
_LONG_LENGTH: Final = 0x80
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, InternalError)
"""What the library raises for what is no key; InternalError for a key of Ed448 that has another length."""


def generated(key_type: KeyType) -> PrivateKey:
    """Make a key."""
    if key_type.family is Family.RSA:
        return generate_rsa(rsa.PUBLIC_EXPONENT, key_type.size)
    if key_type.family is Family.EC:
        return generate_private_key(ec.CURVES[key_type.name])
    return _CLASSES[key_type.name].generate()


def imported(key_type: KeyType, material: bytes) -> PrivateKey:
    """Return the key of PKCS#8 in DER; ML-DSA and ML-KEM in the form that holds the seed (RFC 9881, RFC 9935)."""
    algorithm = _algorithm(material)
    if not algorithm:
        raise _not_pkcs8()
    if algorithm in _ALGORITHMS:
        try:
            # RSA's numbers are looked at below: the library would hold the whole process up with it.
            private = serialization.load_der_private_key(material, None, unsafe_skip_rsa_key_validation=True)
        except _UNREADABLE:
            raise _not_pkcs8() from None
        if isinstance(private, PrivateKey) and _is_of_type(private, key_type):
            return private
    raise Refusal(Status.BAD_DATA, f"the material is not a key of type {key_type.name}")


def check_none(material: bytes) -> None:
    """Refuse a private key as the bytes of a secret one: wrapped bytes do not say which they are."""
    try:
        serialization.load_der_private_key(material, None, unsafe_skip_rsa_key_validation=True)
    except _UNREADABLE:
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


def _algorithm(material: bytes) -> bytes:
    """Return the object identifier of PKCS#8's algorithm, empty where it is not PKCS#8: the library takes older forms
    of RSA and EC keys too, which have a number or bytes in its place."""
    content = 2 + (material[1] & ~_LONG_LENGTH if len(material) > 1 and material[1] & _LONG_LENGTH else 0)
    version, name = content + len(_VERSIONS[0]), content + len(_VERSIONS[0]) + 2
    if material[content:version] not in _VERSIONS or material[version : version + 1] != _SEQUENCE:
        return b""
    length = material[name + 1 : name + 2]
    return material[name : name + 2 + length[0]] if length else b""


def _not_pkcs8() -> Refusal:
    return Refusal(Status.BAD_DATA, "the material is not an unencrypted PKCS#8 private key in DER")


def _is_of_type(private: PrivateKey, key_type: KeyType) -> bool:
    if isinstance(private, RSAPrivateKey):
        if key_type.family is Family.RSA:
            rsa.check_imported(private, key_type.size)
        return key_type.family is Family.RSA
    if isinstance(private, EllipticCurvePrivateKey):
        return key_type.family is Family.EC and private.curve.name == ec.CURVES[key_type.name].name
    wanted = _CLASSES.get(key_type.name)
    return wanted is not None and isinstance(private, wanted)
