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
    strength: int
    """Bits of security against computers of today (SP 800-57 part 1, table 2; RSA between its rows: FIPS 140-3 IG D.B).
    No key is wrapped by a weaker one."""

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
        KeyType(f"rsa-{bits}", Family.RSA, bits, _SIGNING | _CIPHER | _WRAPPING, _SIGNING, strength)
        for bits, strength in ((2048, 112), (3072, 128), (4096, 152), (6144, 176), (8192, 200))
    ]
    ec = [
        KeyType(f"ec-{curve}", Family.EC, size, _SIGNING | Usage.DERIVE, _SIGNING, min(size // 2, 256))
        for curve, size in (("p256", 256), ("p384", 384), ("p521", 521), ("secp256k1", 256))
    ]
    edwards = [
        KeyType("ed25519", Family.ED, 255, _SIGNING, _SIGNING, 128),
        KeyType("ed448", Family.ED, 448, _SIGNING, _SIGNING, 224),
        KeyType("x25519", Family.X, 255, Usage.DERIVE, Usage.DERIVE, 128),
    ]
    aes = [
        KeyType(f"aes-{bits}", Family.AES, bits, _CIPHER | _WRAPPING | _SIGNING | Usage.DERIVE, _CIPHER, bits)
        for bits in (128, 192, 256)
    ]
    mac = [KeyType(f"hmac-{bits}", Family.HMAC, bits, _SIGNING, _SIGNING, 256) for bits in (256, 384, 512)]
    secret = [KeyType("secret-256", Family.SECRET, 256, Usage.DERIVE, Usage.DERIVE, 256)]
    post_quantum = [
        *(
            KeyType(f"ml-dsa-{n}", Family.ML_DSA, n, _SIGNING, _SIGNING, s)
            for n, s in ((44, 128), (65, 192), (87, 256))
        ),
        *(KeyType(f"ml-kem-{n}", Family.ML_KEM, n, _KEM, _KEM, s) for n, s in ((768, 192), (1024, 256))),
    ]
    return [*rsa, *ec, *edwards, *aes, *mac, *secret, *post_quantum]


KEY_TYPES: dict[str, KeyType] = {key_type.name: key_type for key_type in _types()}
