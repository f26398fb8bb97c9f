"""The one record format of all back ends and stores (design.md section 7).

Theory. RFC 5649 has no associated data, so nothing would tie wrapped material to its attributes. Therefore every
record is authenticated as a whole: HMAC-SHA256 over the exact bytes that are stored, which hold cluster id,
partition, key id, record version, epoch, master key version, type, true length, all attributes and the wrapped
material. The MAC is checked before anything is decrypted or read, and the row's name afterwards: a row moved or
swapped within the store is refused like one that was changed. A destroyed key keeps its record as a tombstone
without material.

Format 3 encrypts all that: a stolen store shows no label, no id, no partition and no public key, only how many
records there are, how long they are and when they change. Body = random IV, then AES-256-CTR of the MessagePack
array. Encrypt, then MAC, with two keys: CTR and HMAC because every PKCS#11 device has them, where AES-SIV is rare and
many a device makes AES-GCM's nonce itself. Format 1 has the array in clear; it is read, and written no more (2 is the
node state's).
"""

from typing import Any, Final

import msgspec

from hsm_node.core.envelopes import MALFORMED, Reason, RecordError, Unsealed, check_place, open_envelope, seal
from hsm_node.core.keyring import Keyring
from hsm_wire.messages import U32, KeyInfo, Policy

CLEAR_FORMAT: Final = 1
RECORD_FORMAT: Final = 3
KEPT_CHANGES: Final = 8
"""Changes that a record remembers: a re-sent change finds itself among the last 8."""
PREFIXES: Final = {CLEAR_FORMAT: b"redoubt record\x01", RECORD_FORMAT: b"redoubt record\x03"}


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
    """Bytes of the material before wrapping pads it. 0: a device has wrapped a private key, which may have padded it
    with zeros first and does not say how many; the DER of the key says it."""
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
    sequence: int = 0
    """Counts every writing, also what its owner does not see, such as wrapping under a new master key: see `order`."""
    destroy_at: int = 0
    """When a scheduled destruction comes, seconds since 1970; 0 = none."""
    replaces: bytes = b""
    """The key that this one was rotated from; empty = none."""
    replaced_by: bytes = b""
    """The key that this one was rotated to."""
    answer: bytes = b""
    """What the creating request was answered beside the key (a ciphertext of ENCAPSULATE): sent again it gets this."""
    uses: int = 0
    """Uses that count towards the policy's max_uses: see `use_limits`."""
    use_marks: tuple[bytes, ...] = ()
    """Marks of the last of these, the newest last; apart from `changes`, so that uses push out no change's mark."""
    gcm_leased: int = 0
    """AES-GCM encryptions that nodes have taken, in blocks, whether they made them or not."""

    device_object: str = ""
    """Label of the private key in a device, of a key that was adopted there: it is not in this record. Empty: it is."""
    adopted_at: str = ""
    """Node whose device that was."""

    @property
    def order(self) -> int:
        """How often it was written. A record of before there was a count was written as often as it was changed."""
        return self.sequence or self.version

    @property
    def place(self) -> tuple[int, bytes]:
        """Partition and id."""
        return self.partition, self.key_id

    @property
    def info(self) -> KeyInfo:
        """What the owner may know about the key."""
        return key_info(self)

    def __repr__(self) -> str:
        return f"Record({self.partition}/{self.key_id.hex()}, {self.key_type}, version={self.version})"


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


def next_record(record: Record, **changes: Any) -> Record:
    """Return the record after a change that its owner sees."""
    return msgspec.structs.replace(record, version=record.version + 1, sequence=record.order + 1, **changes)


def rewritten_record(record: Record, **changes: Any) -> Record:
    """Return the record after a change that its owner does not see."""
    return msgspec.structs.replace(record, sequence=record.order + 1, **changes)


def remembered(changes: tuple[bytes, ...], mark: bytes) -> tuple[bytes, ...]:
    """Return the marks of the last changes after one more; an empty mark is none."""
    return (*changes, mark)[-KEPT_CHANGES:] if mark else changes


def unsealed_record(record: Record, keyring: Keyring) -> Unsealed:
    """Return what to seal: all of it, the material too, under the master key in use.

    Called on the event loop only, where nobody takes another master key into use meanwhile.
    """
    record = _with_current_material(record, keyring)
    body = keyring.encrypt(_encoder.encode(record))
    return Unsealed(RECORD_FORMAT, PREFIXES[RECORD_FORMAT], body, keyring.version)


def seal_record(record: Record, keyring: Keyring) -> bytes:
    """Return the bytes to store; see `unsealed_record`."""
    return seal(unsealed_record(record, keyring), keyring)


def resealed_record(record: Record, keyring: Keyring) -> bytes:
    """Return the bytes of the same record, written once more under the master key in use."""
    return seal_record(rewritten_record(record), keyring)


def _with_current_material(record: Record, keyring: Keyring) -> Record:
    if not record.wrapped or record.master_key_version == keyring.version:
        return record
    # Made before the master key was changed, or by a thread meanwhile.
    wrapped = keyring.rewrap(record.wrapped, record.true_length)
    return msgspec.structs.replace(record, wrapped=wrapped, master_key_version=keyring.version)


def open_record(data: bytes, name: bytes, cluster_id: bytes, keyring: Keyring) -> Record:
    """Return the record that the store has under `name`.

    Raises:
        RecordError: it was changed, moved, belongs to another cluster, or is of a newer format.
    """
    number, body, version = open_envelope(PREFIXES, data, keyring)
    try:
        record = _decoder.decode(body if number == CLEAR_FORMAT else keyring.decrypt(body, version))
    except (*MALFORMED, ValueError):  # ValueError: shorter than an IV.
        raise RecordError(Reason.MALFORMED, "its fields are not those of a record") from None
    check_place(record.cluster_id, cluster_id, keyring.name(record.partition, record.key_id), name)
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
        record.destroy_at,
        record.replaces,
        record.replaced_by,
        record.uses,
        record.adopted_at,
    )
