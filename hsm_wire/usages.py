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
    """Bits of a key policy's `flags`: permissions that a key does not have unless it is made with them."""

    EXPORTABLE = 0x01
    CALLER_IV = 0x02
    RAW_RSA = 0x04
    LEGACY_TEST = 0x08
    STRICT = 0x10
    PKCS1_DECRYPT = 0x20
    CBC_PADDING = 0x40


ALL_POLICY_FLAGS = PolicyFlag(0x7F)
