"""The one record format of all back ends and stores (design.md section 7).

Theory. RFC 5649 has no associated data, so nothing would tie wrapped material to its attributes. Therefore every
record is authenticated as a whole: HMAC-SHA256 over the exact bytes of the MessagePack array that holds cluster id,
partition, key id, record version, epoch, master key version, type, true length, all attributes and the wrapped
material. The bytes that are authenticated are the bytes that are stored, so there is only one form to agree on.
The MAC is checked before anything is read from them, and the row's name afterwards: a row moved or swapped within
the store is refused like one that was changed. A destroyed key keeps its record as a tombstone without material.
"""

from typing import Final

import msgspec

from hsm_node.core.keyring import Keyring
from hsm_wire.messages import U32, KeyInfo, Policy

RECORD_FORMAT: Final = 1
KEPT_CHANGES: Final = 8
"""Changes that a record remembers: a re-sent change finds itself among the last 8."""
_MAC_PREFIX: Final = b"redoubt record\x01"


class RecordError(Exception):
    """A stored record that must not be used; the text is for the log."""


class Record(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """A key as the store has it."""

    cluster_id: bytes
    partition: U32
    key_id: bytes
    version: int
    """Counts changes, from 1."""
    epoch: int
    master_key_version: int
    key_type: str
    true_length: int
    """Bytes of the material before wrapping pads it."""
    label: str
    usage: int
    enabled: bool
    destroyed: bool
    created: int
    """Seconds since 1970."""
    origin: str
    public_key: bytes
    policy: Policy
    creation_digest: bytes
    """Keyed digest of the request that created it."""
    changes: tuple[bytes, ...]
    """Marks of the last changes, the newest last."""
    wrapped: bytes

    def __repr__(self) -> str:
        return f"Record({self.partition}/{self.key_id.hex()}, {self.key_type}, version={self.version})"


class _Envelope(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    format: int
    body: bytes
    mac: bytes


MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for bytes that are not the form that is asked for."""

_encoder = msgspec.msgpack.Encoder()
_record_decoder = msgspec.msgpack.Decoder(Record)
_envelope_decoder = msgspec.msgpack.Decoder(_Envelope)


def seal_envelope(number: int, prefix: bytes, body: bytes, keyring: Keyring) -> bytes:
    """Return a body with its format's number and its MAC; the prefix keeps formats apart under one MAC key."""
    return _encoder.encode(_Envelope(number, body, keyring.mac(prefix + body)))


def format_of(data: bytes) -> int:
    """Return the number of the format, 0 for what is no envelope. Nothing is authenticated by this."""
    try:
        return _envelope_decoder.decode(data).format
    except MALFORMED:
        return 0


def open_envelope(number: int, prefix: bytes, data: bytes, keyring: Keyring) -> bytes:
    """Return the authentic body.

    Raises:
        RecordError: it is of another format, was changed, or made under another master key.
    """
    try:
        envelope = _envelope_decoder.decode(data)
    except MALFORMED:
        raise RecordError("it is not a record") from None
    if envelope.format != number:
        raise RecordError(f"its format {envelope.format} is unknown to this version")
    if not keyring.mac_matches(prefix + envelope.body, envelope.mac):
        raise RecordError("it was changed, or made under another master key")
    return envelope.body


def seal_record(record: Record, keyring: Keyring) -> bytes:
    """Return the bytes to store."""
    return seal_envelope(RECORD_FORMAT, _MAC_PREFIX, _encoder.encode(record), keyring)


def open_record(data: bytes, name: bytes, cluster_id: bytes, keyring: Keyring) -> Record:
    """Return the record that the store has under `name`.

    Raises:
        RecordError: it was changed, moved, belongs to another cluster, or is of a newer format.
    """
    body = open_envelope(RECORD_FORMAT, _MAC_PREFIX, data, keyring)
    try:
        record = _record_decoder.decode(body)
    except MALFORMED:
        raise RecordError("its fields are not those of a record") from None
    if record.cluster_id != cluster_id:
        raise RecordError("it belongs to another cluster")
    if keyring.name(record.partition, record.key_id) != name:
        raise RecordError("it was moved here from another name")
    return record


def key_info(record: Record) -> KeyInfo:
    """Return what the owner may know about a key."""
    return KeyInfo(
        record.key_id,
        record.key_type,
        record.label,
        record.usage,
        record.enabled,
        record.version,
        record.created,
        record.origin,
        record.public_key,
        record.policy,
    )
