"""Certificates, public keys and data as the store has them: sealed like keys' records, under a format of their own.

All of it is encrypted and then authenticated, value and label too. The row's name is made from partition and id, like a
key's and yet never a key's: see `Keyring.object_name`. A destroyed object keeps its record as a tombstone without value
and label.
"""

from typing import Any, Final

import msgspec

from hsm_node.core.envelopes import MALFORMED, Reason, RecordError, Unsealed, check_place, open_envelope, seal
from hsm_node.core.keyring import Keyring
from hsm_node.core.tombstones import Place
from hsm_wire.messages import U32
from hsm_wire.objects import ObjectInfo

OBJECT_FORMAT: Final = 4
PREFIX: Final = b"redoubt object\x01"


class ObjectRecord(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """An object as the store has it."""

    cluster_id: bytes
    partition: U32
    object_id: bytes
    version: int
    """Counts changes, from 1."""
    order: int
    """Counts every writing, also what its owner does not see, such as sealing under a new master key."""
    epoch: int
    kind: str
    label: str
    value: bytes
    destroyed: bool
    created: int
    """Seconds since 1970."""
    creation_digest: bytes
    """Keyed digest of the request that created it."""
    changes: tuple[bytes, ...]
    """Marks of the last changes, the newest last."""

    @property
    def place(self) -> Place:
        """Partition and id."""
        return self.partition, self.object_id

    @property
    def info(self) -> ObjectInfo:
        """What the owner is told beside the value."""
        return ObjectInfo(self.object_id, self.kind, self.label, self.version, self.created)

    def __repr__(self) -> str:  # Data may be secret.
        return f"ObjectRecord({self.partition}/{self.object_id.hex()}, {self.kind}, version={self.version})"


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ObjectRecord)


def next_object(record: ObjectRecord, **changes: Any) -> ObjectRecord:
    """Return the record after a change that its owner sees."""
    return msgspec.structs.replace(record, version=record.version + 1, order=record.order + 1, **changes)


def unsealed_object(record: ObjectRecord, keyring: Keyring) -> Unsealed:
    """Return what to seal, under the master key in use; called on the event loop only."""
    return Unsealed(OBJECT_FORMAT, PREFIX, keyring.encrypt(_encoder.encode(record)), keyring.version)


def seal_object(record: ObjectRecord, keyring: Keyring) -> bytes:
    """Return the bytes to store; see `unsealed_object`."""
    return seal(unsealed_object(record, keyring), keyring)


def resealed_object(record: ObjectRecord, keyring: Keyring) -> bytes:
    """Return the bytes of the same record, written once more under the master key in use: its owner sees no change."""
    return seal_object(msgspec.structs.replace(record, order=record.order + 1), keyring)


def open_object(data: bytes, name: bytes, cluster_id: bytes, keyring: Keyring) -> ObjectRecord:
    """Return the record that the store has under `name`.

    Raises:
        RecordError: it was changed, moved, or belongs to another cluster.
    """
    _, body, version = open_envelope({OBJECT_FORMAT: PREFIX}, data, keyring)
    try:
        record = _decoder.decode(keyring.decrypt(body, version))
    except (*MALFORMED, ValueError):  # ValueError: shorter than an IV.
        raise RecordError(Reason.MALFORMED, "its fields are not those of an object") from None
    check_place(record.cluster_id, cluster_id, keyring.object_name(record.partition, record.object_id), name)
    return record
