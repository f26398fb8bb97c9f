"""What the device is told of a key: how it is made, and what its session object may do.

Keys are extractable between generation and wrapping, and never again: what a node unwraps is not. A KEK's
UNWRAP_TEMPLATE says the same, so that whoever has the PIN cannot ask for less.
"""

from typing import Final

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11.structures import Mechanism, Template, mechanism
from hsm_wire.key_types import Family, KeyType

CURVES: Final[dict[str, bytes]] = {
    "ec-p256": bytes.fromhex("06082a8648ce3d030107"),
    "ec-p384": bytes.fromhex("06052b81040022"),
    "ec-p521": bytes.fromhex("06052b81040023"),
    "ec-secp256k1": bytes.fromhex("06052b8104000a"),
}
"""CKA_EC_PARAMS: the curve's object identifier in DER (RFC 5480)."""
PUBLIC_EXPONENT: Final = (65_537).to_bytes(3, "big")

_KEY_TYPES: Final = {
    Family.RSA: ck.CKK_RSA,
    Family.EC: ck.CKK_EC,
    Family.AES: ck.CKK_AES,
    Family.HMAC: ck.CKK_GENERIC_SECRET,
}
FAMILIES: Final = frozenset(_KEY_TYPES)
"""Families of keys that are kept in devices. SoftHSM2 does not unwrap Edwards keys, and few devices have more."""
# DERIVE is off by name: SoftHSM2 wants to be told what the KEK's template fixes.
_USES: Final[dict[Family, Template]] = {
    Family.RSA: {ck.CKA_SIGN: True, ck.CKA_DECRYPT: True},
    Family.EC: {ck.CKA_SIGN: True},
    Family.AES: {ck.CKA_ENCRYPT: True, ck.CKA_DECRYPT: True, ck.CKA_SIGN: True, ck.CKA_DERIVE: False},
    Family.HMAC: {ck.CKA_SIGN: True, ck.CKA_DERIVE: False},
}


def unwrapped(key_type: KeyType) -> Template:
    """Return what a wrapped key becomes: an object of the session, for the uses of its type and nothing else."""
    return {**_base(key_type), **_USES[key_type.family], ck.CKA_EXTRACTABLE: False}


def taken(key_type: KeyType) -> Template:
    """Return what a key becomes that is wrapped next, and destroyed."""
    return {**_base(key_type), **_USES[key_type.family], ck.CKA_EXTRACTABLE: True}


def bound(template: Template) -> Template:
    """Return the template of a key that nothing wraps but keys that the security officer calls trusted."""
    return {**template, ck.CKA_WRAP_WITH_TRUSTED: True}


def generation(key_type: KeyType) -> Mechanism:
    """Return the mechanism that makes a key."""
    numbers = {
        Family.RSA: ck.CKM_RSA_PKCS_KEY_PAIR_GEN,
        Family.EC: ck.CKM_EC_KEY_PAIR_GEN,
        Family.AES: ck.CKM_AES_KEY_GEN,
        Family.HMAC: ck.CKM_GENERIC_SECRET_KEY_GEN,
    }
    return mechanism(numbers[key_type.family])


def generated(key_type: KeyType) -> Template:
    """Return the template of a new secret or private key."""
    template = taken(key_type)
    return {**template, ck.CKA_VALUE_LEN: key_type.size // 8} if key_type.symmetric else template


def adopted(key_type: KeyType) -> int:
    """Return what CKA_KEY_TYPE is of a key that was in the token before."""
    return ck.CKK_EC_EDWARDS if key_type.family is Family.ED else _KEY_TYPES[key_type.family]


def generated_public(key_type: KeyType) -> Template:
    """Return the template of a new key pair's public key."""
    common: Template = {ck.CKA_TOKEN: False, ck.CKA_VERIFY: True}
    if key_type.family is Family.RSA:
        return {**common, ck.CKA_MODULUS_BITS: key_type.size, ck.CKA_PUBLIC_EXPONENT: PUBLIC_EXPONENT}
    return {**common, ck.CKA_EC_PARAMS: CURVES[key_type.name]}


def _base(key_type: KeyType) -> Template:
    return {
        ck.CKA_CLASS: ck.CKO_SECRET_KEY if key_type.symmetric else ck.CKO_PRIVATE_KEY,
        ck.CKA_KEY_TYPE: _KEY_TYPES[key_type.family],
        ck.CKA_TOKEN: False,
        ck.CKA_PRIVATE: True,
        ck.CKA_SENSITIVE: True,
    }
