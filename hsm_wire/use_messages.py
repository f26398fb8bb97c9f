"""Bodies of the uses of keys (0x02xx): SIGN to DECAPSULATE."""

import msgspec

from hsm_wire.forms import U32, Body, KeyId, Label, TypeName
from hsm_wire.key_messages import KeyInfo, Policy


class Sign(Body, frozen=True):
    """SIGN: whole data, or a digest, as the mechanism says. Also makes MACs."""

    key_id: KeyId
    mechanism: U32
    parameters: msgspec.Raw
    data: bytes


class SignResult(Body, frozen=True):
    """Answer to SIGN, in PKCS#11's form."""

    signature: bytes


class Verify(Body, frozen=True):
    """VERIFY: OK or BAD_SIGNATURE."""

    key_id: KeyId
    mechanism: U32
    parameters: msgspec.Raw
    data: bytes
    signature: bytes


class Encrypt(Body, frozen=True):
    """ENCRYPT."""

    key_id: KeyId
    mechanism: U32
    parameters: msgspec.Raw
    data: bytes


class EncryptResult(Body, frozen=True):
    """Answer to ENCRYPT: GCM's tag stands at the end of the ciphertext; `iv` is what was used, or empty."""

    ciphertext: bytes
    iv: bytes = b""


class Decrypt(Body, frozen=True):
    """DECRYPT."""

    key_id: KeyId
    mechanism: U32
    parameters: msgspec.Raw
    data: bytes


class DecryptResult(Body, frozen=True):
    """Answer to DECRYPT."""

    plaintext: bytes


class Derive(Body, frozen=True):
    """DERIVE: make key `new_key_id` from `key_id`."""

    key_id: KeyId
    mechanism: U32
    parameters: msgspec.Raw
    new_key_id: KeyId
    key_type: TypeName
    label: Label = ""
    usage: U32 = 0
    policy: Policy = Policy()


class Encapsulate(Body, frozen=True):
    """ENCAPSULATE: make secret key `new_key_id`, return what its holder needs to make it too (FIPS 203)."""

    key_id: KeyId
    mechanism: U32
    parameters: msgspec.Raw
    new_key_id: KeyId
    key_type: TypeName
    label: Label = ""
    usage: U32 = 0
    policy: Policy = Policy()


class EncapsulateResult(Body, frozen=True):
    """Answer to ENCAPSULATE."""

    ciphertext: bytes
    key: KeyInfo


class Decapsulate(Body, frozen=True):
    """DECAPSULATE: make secret key `new_key_id` from `ciphertext`."""

    key_id: KeyId
    mechanism: U32
    parameters: msgspec.Raw
    ciphertext: bytes
    new_key_id: KeyId
    key_type: TypeName
    label: Label = ""
    usage: U32 = 0
    policy: Policy = Policy()
