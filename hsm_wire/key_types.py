"""Key types by the name that the wire, `hsmctl` and the library share."""

from enum import StrEnum

import msgspec

from hsm_wire.usages import Usage


class Family(StrEnum):
    """Key types that share their mechanisms (CKK_...)."""

    RSA = "rsa"
    EC = "ec"
    ED = "ed"
    X = "x"
    AES = "aes"
    HMAC = "hmac"
    SECRET = "secret"  # noqa: S105 - the name of a key type
    ML_DSA = "ml-dsa"
    ML_KEM = "ml-kem"


class KeyType(msgspec.Struct, frozen=True):
    """One type of key. `size` is in bits where the family is counted in bits, else the parameter set's number."""

    name: str
    family: Family
    size: int
    usages: Usage
    """Every usage that makes sense for the type."""
    default_usages: Usage
    """What a key is made with where the caller does not say."""

    @property
    def symmetric(self) -> bool:
        """Whether the key has no public part."""
        return self.family in (Family.AES, Family.HMAC, Family.SECRET)


_SIGNING = Usage.SIGN | Usage.VERIFY
_CIPHER = Usage.ENCRYPT | Usage.DECRYPT
_WRAPPING = Usage.WRAP | Usage.UNWRAP
_KEM = Usage.ENCAPSULATE | Usage.DECAPSULATE


def _types() -> list[KeyType]:
    rsa = [
        KeyType(f"rsa-{bits}", Family.RSA, bits, _SIGNING | _CIPHER | _WRAPPING, _SIGNING)
        for bits in (2048, 3072, 4096, 6144, 8192)
    ]
    ec = [
        KeyType(f"ec-{curve}", Family.EC, size, _SIGNING | Usage.DERIVE, _SIGNING)
        for curve, size in (("p256", 256), ("p384", 384), ("p521", 521), ("secp256k1", 256))
    ]
    edwards = [
        KeyType("ed25519", Family.ED, 255, _SIGNING, _SIGNING),
        KeyType("ed448", Family.ED, 448, _SIGNING, _SIGNING),
        KeyType("x25519", Family.X, 255, Usage.DERIVE, Usage.DERIVE),
    ]
    aes = [
        KeyType(f"aes-{bits}", Family.AES, bits, _CIPHER | _WRAPPING | _SIGNING | Usage.DERIVE, _CIPHER)
        for bits in (128, 192, 256)
    ]
    mac = [KeyType(f"hmac-{bits}", Family.HMAC, bits, _SIGNING, _SIGNING) for bits in (256, 384, 512)]
    secret = [KeyType("secret-256", Family.SECRET, 256, Usage.DERIVE, Usage.DERIVE)]
    post_quantum = [
        *(KeyType(f"ml-dsa-{n}", Family.ML_DSA, n, _SIGNING, _SIGNING) for n in (44, 65, 87)),
        *(KeyType(f"ml-kem-{n}", Family.ML_KEM, n, _KEM, _KEM) for n in (768, 1024)),
    ]
    return [*rsa, *ec, *edwards, *aes, *mac, *secret, *post_quantum]


KEY_TYPES: dict[str, KeyType] = {key_type.name: key_type for key_type in _types()}
