"""The body of every message: a MessagePack array with the fields in this order.

Strict in: a missing field without a default, a wrong type, a value out of range or a field too many is refused
with one sentence. A later minor version may append fields that have a default, never remove or reorder any.
"""

from typing import Annotated, TypeVar

import msgspec

from hsm_wire import limits
from hsm_wire.errors import BodyError

U16 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
U32 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
U63 = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
KeyId = Annotated[bytes, msgspec.Meta(min_length=limits.MAX_KEY_ID_BYTES, max_length=limits.MAX_KEY_ID_BYTES)]
"""16 bytes chosen by the caller's library (UUIDv7, RFC 9562), unique within its partition."""
Label = Annotated[str, msgspec.Meta(max_length=limits.MAX_LABEL_CHARACTERS)]
TypeName = Annotated[str, msgspec.Meta(max_length=32)]
Name = Annotated[str, msgspec.Meta(max_length=256)]
Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Body(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Base of all bodies."""

    def __repr__(self) -> str:  # Plaintexts, shares and random bytes may be secret: only ids are shown as they are.
        fields = ", ".join(f"{name}={_shown(name, getattr(self, name))}" for name in self.__struct_fields__)
        return f"{type(self).__name__}({fields})"


def _shown(name: str, value: object) -> str:
    if isinstance(value, bytes) and name.endswith("_id"):
        return value.hex()
    if isinstance(value, bytes | msgspec.Raw):
        return f"<{len(bytes(value))} bytes>"
    if isinstance(value, list):
        return f"[{', '.join(_shown('', item) for item in value)}]"
    return repr(value)


class Empty(Body, frozen=True):
    """No fields: the empty array, byte 0x90."""


class Failure(Body, frozen=True):
    """Body of every RESPONSE whose status class is not 0."""

    detail: Annotated[str, msgspec.Meta(max_length=limits.MAX_DETAIL_CHARACTERS)]
    """What is wrong and what to do, in one sentence; nothing about the inside."""
    retry_after_ms: U32 = 0
    """How long to wait before sending again; 0 = as the caller likes."""


class Unconfirmed(Body, frozen=True):
    """Body of OK_UNCONFIRMED and OK_DR_PENDING for a change: which nodes or sites did not confirm."""

    unconfirmed: list[Name]


# ---- connection -----------------------------------------------------------------------------------------------


class Hello(Body, frozen=True):
    """First frame of whoever opened the connection."""

    min_version: U16
    max_version: U16
    max_frame_bytes: U32
    """Largest length field the sender takes."""
    max_in_flight: U32
    """Most requests the sender wants in flight."""
    name: Name
    """Software and version, for logs; no identity: that is in the certificate."""
    configuration_hash: Name = ""
    """Hex SHA-256 of the sender's cluster configuration; empty from clients."""


class Welcome(Body, frozen=True):
    """Answer to HELLO: what holds on this connection, the smaller of both wishes."""

    version: U16
    max_frame_bytes: U32
    max_in_flight: U32
    name: Name
    configuration_hash: Name = ""


class Pong(Body, frozen=True):
    """Answer to PING, and a node's report on itself. A proxy fills in what it has."""

    boot_id: Annotated[bytes, msgspec.Meta(max_length=16)]
    """Random, new at every start of the process."""
    queue_depth: U32
    """Requests that wait for a session."""
    sessions: U32
    """Operations that can run side by side."""
    window: U32
    """Requests in flight that the node wants at most from this connection's sender."""
    completed: U63
    """Requests answered since start: progress."""
    generating: U32 = 0
    """Key generations running or queued in their own pool."""
    applied_revision: U63 = 0
    """Revision of the store that the node has applied."""
    cluster_id: Annotated[bytes, msgspec.Meta(max_length=16)] = b""
    epoch: U63 = 0
    store_contact: Name = "current"
    """`current` or `stale`."""
    state: Name = "up"
    """Operational state: up, stale, sealed, locked, standby, fenced."""
    administrative_state: Name = "ready"
    """ready, drain or maintain."""


class Goaway(Body, frozen=True):
    """The sender takes no new requests (as server) or sends none (as client)."""

    reason: Name = ""


class Bind(Body, frozen=True):
    """Proxy to node: from now on, `number` in the principal field means this identity."""

    number: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF_FFFF)]
    identity: Name
    partition: U32
    """0 = none (an operator)."""
    roles: Annotated[list[Name], msgspec.Meta(max_length=8)]
    certificate_sha256: Annotated[bytes, msgspec.Meta(max_length=32)]
    """Empty where TLS is off."""
    not_after: U63
    """End of the certificate, seconds since 1970; 0 where TLS is off."""


class Unbind(Body, frozen=True):
    """The number of an earlier BIND is no longer used."""

    number: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF_FFFF)]


# ---- general --------------------------------------------------------------------------------------------------


class MechanismInfo(Body, frozen=True):
    """One mechanism that the cluster offers."""

    number: U32
    name: Name
    usages: U32


class InfoResult(Body, frozen=True):
    """Answer to INFO."""

    cluster: Name
    node: Name
    software: Name
    mechanisms: list[MechanismInfo]
    key_types: list[TypeName]


class PathReport(Body, frozen=True):
    """One way to a node, as a proxy sees it."""

    uplink: Name
    state: Name
    """up or down."""


class NodeReport(Body, frozen=True):
    """One node, as a proxy sees it."""

    name: Name
    site: Name
    state: Name
    """Operational state."""
    administrative_state: Name
    reason: Name
    """Why the state is what it is; empty when all is well."""
    weight: U32
    in_flight: U32
    window: U32
    requests: U63
    """Answers that this node gave to clients' requests since the proxy started."""
    failures: U63
    """Requests that had to leave this node since the proxy started."""
    paths: list[PathReport]


class StatusResult(Body, frozen=True):
    """Answer to STATUS, which the proxy itself gives."""

    proxy: Name
    site: Name
    cluster: Name
    software: Name
    uptime_ms: U63
    clients: U32
    nodes: list[NodeReport]


class Random(Body, frozen=True):
    """RANDOM: that many random bytes."""

    length: Annotated[int, msgspec.Meta(ge=1, le=limits.MAX_RANDOM_BYTES)]


class RandomResult(Body, frozen=True):
    """Answer to RANDOM."""

    data: bytes


# ---- keys -----------------------------------------------------------------------------------------------------


class Policy(Body, frozen=True):
    """What a key may do beyond its usage. All zero: the defaults."""

    flags: U32 = 0
    """Bits of `PolicyFlag`: permissions that a key has only if it is made with them."""
    mechanisms: Annotated[list[U32], msgspec.Meta(max_length=limits.MAX_ALLOWED_MECHANISMS)] = []
    """CKM numbers allowed; empty = all that fit the type and usage."""
    not_before: U63 = 0
    """Seconds since 1970; 0 = no bound."""
    not_after: U63 = 0
    max_uses: U63 = 0
    """0 = no limit."""


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
    """generated, imported, derived or unwrapped."""
    public_key: bytes
    """SubjectPublicKeyInfo, DER (RFC 5280); empty for secret keys."""
    policy: Policy


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


class DestroyKey(Body, frozen=True):
    """DESTROY_KEY."""

    key_id: KeyId


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


# ---- use of keys ----------------------------------------------------------------------------------------------


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


# ---- codec ----------------------------------------------------------------------------------------------------

NIL_PARAMETERS = msgspec.Raw(b"\xc0")
EMPTY_BODY = b"\x90"

_B = TypeVar("_B", bound=msgspec.Struct)
_encoder = msgspec.msgpack.Encoder()
_decoders: dict[type[msgspec.Struct], msgspec.msgpack.Decoder[msgspec.Struct]] = {}


def encode_body(body: msgspec.Struct) -> bytes:
    """Return the MessagePack bytes of a body."""
    return _encoder.encode(body)


def decode_body(form: type[_B], data: bytes | memoryview | msgspec.Raw) -> _B:
    """Return the body of that form.

    Raises:
        BodyError: the bytes are not exactly that array; its text says where.
    """
    decoder = _decoders.get(form)
    if decoder is None:
        decoder = _decoders[form] = msgspec.msgpack.Decoder(form)
    try:
        return decoder.decode(data)  # type: ignore[return-value]  # the table maps each form to its own decoder
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BodyError(f"the body is not a {form.__name__}: {str(error)[:200]}") from None
