"""The mechanism table, by PKCS#11 number (CKM_..., PKCS#11 3.2).

From this table come the checks at the node, INFO, `hsmctl`'s names and the documentation. What a node really
offers is the part of it that its back end proved at start.

Signatures have PKCS#11's forms: ECDSA is r || s, each as long as the curve's order.
"""

from enum import StrEnum
from typing import Final

import msgspec

from hsm_wire import parameters as p
from hsm_wire.key_types import Family
from hsm_wire.usages import PolicyFlag, Usage

CKM_RSA_PKCS: Final = 0x0001
CKM_RSA_X_509: Final = 0x0003
CKM_SHA1_RSA_PKCS: Final = 0x0006
CKM_RSA_PKCS_OAEP: Final = 0x0009
CKM_RSA_PKCS_PSS: Final = 0x000D
CKM_ML_KEM: Final = 0x0017
CKM_ML_DSA: Final = 0x001D
CKM_SHA256_RSA_PKCS: Final = 0x0040
CKM_SHA384_RSA_PKCS: Final = 0x0041
CKM_SHA512_RSA_PKCS: Final = 0x0042
CKM_SHA256_RSA_PKCS_PSS: Final = 0x0043
CKM_SHA384_RSA_PKCS_PSS: Final = 0x0044
CKM_SHA512_RSA_PKCS_PSS: Final = 0x0045
CKM_SHA_1: Final = 0x0220
CKM_SHA256: Final = 0x0250
CKM_SHA256_HMAC: Final = 0x0251
CKM_SHA384: Final = 0x0260
CKM_SHA384_HMAC: Final = 0x0261
CKM_SHA512: Final = 0x0270
CKM_SHA512_HMAC: Final = 0x0271
CKM_ECDSA: Final = 0x1041
CKM_ECDSA_SHA256: Final = 0x1044
CKM_ECDSA_SHA384: Final = 0x1045
CKM_ECDSA_SHA512: Final = 0x1046
CKM_ECDH1_DERIVE: Final = 0x1050
CKM_EDDSA: Final = 0x1057
CKM_AES_CBC: Final = 0x1082
CKM_AES_CBC_PAD: Final = 0x1085
CKM_AES_CTR: Final = 0x1086
CKM_AES_GCM: Final = 0x1087
CKM_AES_CMAC: Final = 0x108A
CKM_AES_KEY_WRAP: Final = 0x2109
CKM_AES_KEY_WRAP_KWP: Final = 0x210B
CKM_HKDF_DERIVE: Final = 0x402A

HASH_NAMES: Final = {CKM_SHA256: "sha256", CKM_SHA384: "sha384", CKM_SHA512: "sha512"}
"""Hashes that may be named in parameters: SHA-1 is not among them."""


class Data(StrEnum):
    """What a mechanism takes as data. All of it fits into one frame."""

    WHOLE = "whole"
    DIGEST = "a digest: 32, 48 or 64 bytes"
    DIGEST_INFO = "a DigestInfo (RFC 8017, 9.2)"
    BLOCKS = "whole blocks of 16 bytes"
    MODULUS = "at most the modulus, less padding"
    KEY = "a key"
    NONE = "none"


class Mechanism(msgspec.Struct, frozen=True):
    """One row: what a mechanism takes and what it may be used for.

    `alias` is its name in `hsmctl` and the library. `hash_mechanism` is the hash that it applies to whole data,
    0 where there is none. `data` is what it takes (CKM_RSA_PKCS: to be signed). `parameters` is the form of its
    parameters, None where they are nil; `parameters_required` says that there is no default. `needs` names the
    policy flags without which a key refuses some of the usages: what is dangerous is off unless the key is made
    for it.
    """

    number: int
    name: str
    alias: str
    families: tuple[Family, ...]
    usages: Usage
    parameters: type[p.Parameters] | None = None
    parameters_required: bool = False
    hash_mechanism: int = 0
    data: Data = Data.WHOLE
    needs: tuple[tuple[Usage, PolicyFlag], ...] = ()

    @property
    def digest_input(self) -> bool:
        """Whether it signs what the caller has hashed."""
        return self.data in (Data.DIGEST, Data.DIGEST_INFO)

    def needed_flags(self, usage: Usage) -> PolicyFlag:
        """Return the policy flags that a key must have for that usage."""
        flags = PolicyFlag(0)
        for usages, flag in self.needs:
            if usages & usage:
                flags |= flag
        return flags


_SIGNING = Usage.SIGN | Usage.VERIFY
_CIPHER = Usage.ENCRYPT | Usage.DECRYPT
_WRAPPING = Usage.WRAP | Usage.UNWRAP
_RSA = (Family.RSA,)
_EC = (Family.EC,)
_AES = (Family.AES,)


def _rsa() -> list[Mechanism]:
    pkcs1 = [
        Mechanism(number, f"CKM_SHA{n}_RSA_PKCS", f"rsa-pkcs1-sha{n}", _RSA, _SIGNING, hash_mechanism=hash_)
        for number, n, hash_ in (
            (CKM_SHA256_RSA_PKCS, 256, CKM_SHA256),
            (CKM_SHA384_RSA_PKCS, 384, CKM_SHA384),
            (CKM_SHA512_RSA_PKCS, 512, CKM_SHA512),
        )
    ]
    pss = [
        Mechanism(
            number, f"CKM_SHA{n}_RSA_PKCS_PSS", f"rsa-pss-sha{n}", _RSA, _SIGNING, p.PssParameters, hash_mechanism=hash_
        )
        for number, n, hash_ in (
            (CKM_SHA256_RSA_PKCS_PSS, 256, CKM_SHA256),
            (CKM_SHA384_RSA_PKCS_PSS, 384, CKM_SHA384),
            (CKM_SHA512_RSA_PKCS_PSS, 512, CKM_SHA512),
        )
    ]
    return [
        Mechanism(
            CKM_RSA_PKCS,
            "CKM_RSA_PKCS",
            "rsa-pkcs1",
            _RSA,
            _SIGNING | _CIPHER,
            data=Data.DIGEST_INFO,
            needs=((Usage.DECRYPT, PolicyFlag.PKCS1_DECRYPT),),
        ),
        Mechanism(
            CKM_SHA1_RSA_PKCS,
            "CKM_SHA1_RSA_PKCS",
            "rsa-pkcs1-sha1",
            _RSA,
            _SIGNING,
            hash_mechanism=CKM_SHA_1,
            needs=((_SIGNING, PolicyFlag.LEGACY_TEST),),
        ),
        *pkcs1,
        Mechanism(
            CKM_RSA_PKCS_PSS, "CKM_RSA_PKCS_PSS", "rsa-pss", _RSA, _SIGNING, p.PssParameters, True, data=Data.DIGEST
        ),
        *pss,
        Mechanism(
            CKM_RSA_PKCS_OAEP,
            "CKM_RSA_PKCS_OAEP",
            "rsa-oaep",
            _RSA,
            _CIPHER | _WRAPPING,
            p.OaepParameters,
            True,
            data=Data.MODULUS,
        ),
        Mechanism(
            CKM_RSA_X_509,
            "CKM_RSA_X_509",
            "rsa-raw",
            _RSA,
            _SIGNING | _CIPHER,
            data=Data.MODULUS,
            needs=((_SIGNING | _CIPHER, PolicyFlag.RAW_RSA),),
        ),
    ]


def _elliptic() -> list[Mechanism]:
    hashed = [
        Mechanism(number, f"CKM_ECDSA_SHA{n}", f"ecdsa-sha{n}", _EC, _SIGNING, hash_mechanism=hash_)
        for number, n, hash_ in (
            (CKM_ECDSA_SHA256, 256, CKM_SHA256),
            (CKM_ECDSA_SHA384, 384, CKM_SHA384),
            (CKM_ECDSA_SHA512, 512, CKM_SHA512),
        )
    ]
    return [
        Mechanism(CKM_ECDSA, "CKM_ECDSA", "ecdsa", _EC, _SIGNING, data=Data.DIGEST),
        *hashed,
        Mechanism(CKM_EDDSA, "CKM_EDDSA", "eddsa", (Family.ED,), _SIGNING, p.EddsaParameters),
        Mechanism(
            CKM_ECDH1_DERIVE,
            "CKM_ECDH1_DERIVE",
            "ecdh",
            (Family.EC, Family.X),
            Usage.DERIVE,
            p.EcdhParameters,
            True,
            data=Data.NONE,
        ),
    ]


def _symmetric() -> list[Mechanism]:
    hmacs = [
        Mechanism(number, f"CKM_SHA{n}_HMAC", f"hmac-sha{n}", (Family.HMAC,), _SIGNING, hash_mechanism=hash_)
        for number, n, hash_ in (
            (CKM_SHA256_HMAC, 256, CKM_SHA256),
            (CKM_SHA384_HMAC, 384, CKM_SHA384),
            (CKM_SHA512_HMAC, 512, CKM_SHA512),
        )
    ]
    return [
        Mechanism(CKM_AES_GCM, "CKM_AES_GCM", "aes-gcm", _AES, _CIPHER, p.GcmParameters),
        Mechanism(CKM_AES_CBC, "CKM_AES_CBC", "aes-cbc", _AES, _CIPHER, p.IvParameters, data=Data.BLOCKS),
        Mechanism(
            CKM_AES_CBC_PAD,
            "CKM_AES_CBC_PAD",
            "aes-cbc-pad",
            _AES,
            _CIPHER,
            p.IvParameters,
            needs=((Usage.DECRYPT, PolicyFlag.CBC_PADDING),),
        ),
        Mechanism(CKM_AES_CTR, "CKM_AES_CTR", "aes-ctr", _AES, _CIPHER, p.CtrParameters),
        Mechanism(CKM_AES_CMAC, "CKM_AES_CMAC", "aes-cmac", _AES, _SIGNING),
        Mechanism(CKM_AES_KEY_WRAP, "CKM_AES_KEY_WRAP", "aes-kw", _AES, _WRAPPING, data=Data.KEY),
        Mechanism(CKM_AES_KEY_WRAP_KWP, "CKM_AES_KEY_WRAP_KWP", "aes-kwp", _AES, _WRAPPING, data=Data.KEY),
        *hmacs,
        Mechanism(
            CKM_HKDF_DERIVE,
            "CKM_HKDF_DERIVE",
            "hkdf",
            (Family.SECRET, Family.AES),
            Usage.DERIVE,
            p.HkdfParameters,
            True,
            data=Data.NONE,
        ),
    ]


def _post_quantum() -> list[Mechanism]:
    return [
        Mechanism(CKM_ML_DSA, "CKM_ML_DSA", "ml-dsa", (Family.ML_DSA,), _SIGNING, p.MlDsaParameters),
        Mechanism(
            CKM_ML_KEM, "CKM_ML_KEM", "ml-kem", (Family.ML_KEM,), Usage.ENCAPSULATE | Usage.DECAPSULATE, data=Data.NONE
        ),
    ]


MECHANISMS: dict[int, Mechanism] = {row.number: row for row in (*_rsa(), *_elliptic(), *_symmetric(), *_post_quantum())}
MECHANISM_BY_ALIAS: dict[str, Mechanism] = {row.alias: row for row in MECHANISMS.values()}
