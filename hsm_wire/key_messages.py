"""Bodies of the key range (0x01xx): making, finding, changing and destroying keys."""

from typing import Annotated

import msgspec

from hsm_wire import limits
from hsm_wire.forms import U32, U63, Body, KeyId, Label, Name, TypeName


class Policy(Body, frozen=True):
    """What a key may do beyond its usage. All zero: the defaults."""

    flags: U32 = 0
    """Bits of `PolicyFlag`: permissions that a key has only if it is made with them."""
    mechanisms: Annotated[list[U32], msgspec.Meta(max_length=limits.MAX_ALLOWED_MECHANISMS)] = []  # noqa: RUF012 - msgspec copies an empty list for each instance
    """CKM numbers allowed; empty = all that fit the type and usage."""
    not_before: U63 = 0
    """Seconds since 1970; 0 = no bound."""
    not_after: U63 = 0
    max_uses: U63 = 0
    """Uses of the secret part over the key's life; 0 = no limit. May only shrink. All uses count but VERIFY,
    ENCAPSULATE, and ENCRYPT and WRAP with an RSA key; that the key itself is wrapped counts too. A limit that is set
    later counts from then on; a key that is rotated hands its limit on, and the new one counts anew."""
    destruction_wait_s: Annotated[int, msgspec.Meta(ge=0, le=limits.MAX_DESTRUCTION_WAIT_S)] = 0
    """Seconds that a destruction waits at least, the key disabled and the destruction revocable. May only grow."""


class GenerateKey(Body, frozen=True):
    """GENERATE_KEY. Sent twice, it answers with the same key."""

    key_id: KeyId
    key_type: TypeName
    label: Label = ""
    usage: U32 = 0
    """Bits of `Usage`; 0 = the default of the key type."""
    policy: Policy = Policy()


class ImportKey(Body, frozen=True):
    """IMPORT_KEY: PKCS#8 DER for private keys, the bytes themselves for secret ones."""

    key_id: KeyId
    key_type: TypeName
    material: bytes
    label: Label = ""
    usage: U32 = 0
    policy: Policy = Policy()


class KeyInfo(Body, frozen=True):
    """What may be known about a key."""

    key_id: KeyId
    key_type: TypeName
    label: Label
    usage: U32
    enabled: bool
    version: U63
    """Counts the record's changes, from 1."""
    created: U63
    """Seconds since 1970."""
    origin: Name
    """generated, imported, derived, unwrapped or adopted."""
    public_key: bytes
    """SubjectPublicKeyInfo, DER (RFC 5280); empty for secret keys."""
    policy: Policy
    destroy_at: U63 = 0
    """When a scheduled destruction comes, seconds since 1970; 0 = none. Enabling the key revokes it."""
    replaces: Annotated[bytes, msgspec.Meta(max_length=limits.MAX_KEY_ID_BYTES)] = b""
    """The key that this one was rotated from; empty = none."""
    replaced_by: Annotated[bytes, msgspec.Meta(max_length=limits.MAX_KEY_ID_BYTES)] = b""
    """The key that this one was rotated to: it only verifies and decrypts now."""
    uses: U63 = 0
    """Uses that counted towards the policy's `max_uses`."""
    adopted_at: Name = ""
    """Node whose device has the key, which was adopted there and is nowhere else; empty: every node has it."""


class AdoptKey(Body, frozen=True):
    """ADOPT_KEY: a key that a node's device has already, and that cannot be wrapped. It signs and verifies there."""

    key_id: KeyId
    key_type: TypeName
    device_object: Label
    """Label of the private key in the device."""
    label: Label = ""
    usage: U32 = 0
    policy: Policy = Policy()


class DescribeKey(Body, frozen=True):
    """DESCRIBE_KEY."""

    key_id: KeyId


class FindKeys(Body, frozen=True):
    """FIND_KEYS: in the order of ids, a page at a time."""

    label: Label | None = None
    key_type: TypeName | None = None
    after: Annotated[bytes, msgspec.Meta(max_length=limits.MAX_KEY_ID_BYTES)] = b""
    """The last id of the page before; empty = from the start."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=limits.MAX_FIND_LIMIT)] = limits.MAX_FIND_LIMIT


class FindKeysResult(Body, frozen=True):
    """Answer to FIND_KEYS; fewer than `limit` keys: there are no more."""

    keys: list[KeyInfo]


class UpdateKey(Body, frozen=True):
    """UPDATE_KEY: nil leaves a field as it is. `expected_version` 0 = whatever it is."""

    key_id: KeyId
    expected_version: U63 = 0
    label: Label | None = None
    enabled: bool | None = None
    usage: U32 | None = None
    """May only lose bits."""
    policy: Policy | None = None
    """May only get narrower: nothing that was refused before is allowed afterwards."""


class DestroyKey(Body, frozen=True):
    """DESTROY_KEY: at once, or after the longer of `wait_s` and the policy's `destruction_wait_s`."""

    key_id: KeyId
    wait_s: Annotated[int, msgspec.Meta(ge=0, le=limits.MAX_DESTRUCTION_WAIT_S)] = 0


class WrapKey(Body, frozen=True):
    """WRAP_KEY: the material of `key_id` under `wrapping_key_id`."""

    wrapping_key_id: KeyId
    mechanism: U32
    parameters: msgspec.Raw
    key_id: KeyId


class WrapKeyResult(Body, frozen=True):
    """Answer to WRAP_KEY."""

    wrapped: bytes


class UnwrapKey(Body, frozen=True):
    """UNWRAP_KEY: make key `key_id` from `wrapped`."""

    wrapping_key_id: KeyId
    mechanism: U32
    parameters: msgspec.Raw
    wrapped: bytes
    key_id: KeyId
    key_type: TypeName
    label: Label = ""
    usage: U32 = 0
    policy: Policy = Policy()


class RotateKey(Body, frozen=True):
    """ROTATE_KEY: `new_key_id` takes over; the old versions verify and decrypt."""

    key_id: KeyId
    new_key_id: KeyId
