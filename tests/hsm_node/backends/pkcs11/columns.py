"""What each back end lacks: the columns of docs/backends.md, which the conformance suite finds to be exactly these."""

from hsm_wire import mechanisms as ckm
from hsm_wire.usages import Usage

SIGNING = Usage.SIGN | Usage.VERIFY
CIPHER = Usage.ENCRYPT | Usage.DECRYPT
WRAPPING = Usage.WRAP | Usage.UNWRAP
LACKING: dict[str, dict[int, Usage]] = {
    "software": {},
    "softhsm": {
        ckm.CKM_RSA_PKCS: CIPHER,
        ckm.CKM_SHA1_RSA_PKCS: SIGNING,
        ckm.CKM_RSA_PKCS_OAEP: CIPHER | WRAPPING,
        ckm.CKM_EDDSA: SIGNING,
        ckm.CKM_ECDH1_DERIVE: Usage.DERIVE,
        ckm.CKM_AES_KEY_WRAP: WRAPPING,
        ckm.CKM_AES_KEY_WRAP_KWP: WRAPPING,
        ckm.CKM_HKDF_DERIVE: Usage.DERIVE,
        ckm.CKM_ML_DSA: SIGNING,
        ckm.CKM_ML_KEM: Usage.ENCAPSULATE | Usage.DECAPSULATE,
    },
}
TOO_SHORT: dict[str, set[tuple[str, int]]] = {
    "software": set(),
    "softhsm": {
        ("hmac-256", ckm.CKM_SHA384_HMAC),
        ("hmac-256", ckm.CKM_SHA512_HMAC),
        ("hmac-384", ckm.CKM_SHA512_HMAC),
    },
}
"""SoftHSM2 takes no HMAC key that is shorter than the hash, although RFC 2104 does."""
