"""What a key may be used for: bits of the `usage` field, one for each CKA_... attribute (PKCS#11 3.1, 4.7-4.10)."""

from enum import IntFlag


class Usage(IntFlag):
    """CKA_SIGN, CKA_VERIFY and so on."""

    SIGN = 0x001
    VERIFY = 0x002
    ENCRYPT = 0x004
    DECRYPT = 0x008
    WRAP = 0x010
    UNWRAP = 0x020
    DERIVE = 0x040
    ENCAPSULATE = 0x080
    DECAPSULATE = 0x100


ALL_USAGES = Usage(0x1FF)


class PolicyFlag(IntFlag):
    """Bits of a key policy's `flags`. All but STRICT are permissions, which a key has only if it is made with them."""

    EXPORTABLE = 0x01
    """May leave the cluster, wrapped by a key at least as strong."""
    CALLER_IV = 0x02
    """The caller may choose the nonce or initialisation vector of an encryption."""
    RAW_RSA = 0x04
    """CKM_RSA_X_509."""
    LEGACY_TEST = 0x08
    """SHA-1 signatures; only in clusters of package `sandbox`."""
    STRICT = 0x10
    """Refused by a node that is cut off from its store. May be added later, never taken away."""
    PKCS1_DECRYPT = 0x20
    """PKCS#1 v1.5 decryption."""
    CBC_PADDING = 0x40
    """Decryption with CKM_AES_CBC_PAD, at a limited rate."""


ALL_POLICY_FLAGS = PolicyFlag(0x7F)
PERMISSIONS = ALL_POLICY_FLAGS & ~PolicyFlag.STRICT
"""May only be taken away."""
