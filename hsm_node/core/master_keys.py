"""What each node says of the master keys that it holds, as a record of the store, and what follows from all of them.

A rotation must not begin before every node can open what is sealed under the new master key, and it is not over before
no node seals under the old one any more. Nodes do not talk to each other, but all of them follow the store: so each
says in a row of its own which master keys it holds, by their fingerprints, and which of them it seals under. It is
sealed like a key's record, under a format number of its own. It is no secret, and not encrypted.

A cluster whose master key was never rotated has no such rows.
"""

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from hsm_node.core.envelopes import MALFORMED, Reason, RecordError, check_place, open_envelope, seal_envelope
from hsm_node.core.keyring import Keyring

MASTER_KEYS_FORMAT: Final = 5
PREFIX: Final = b"redoubt master keys\x01"


class MasterKeysRecord(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """What one node says."""

    cluster_id: bytes
    node: str
    order: int
    """Counts writings, from 1."""
    epoch: int
    held: tuple[bytes, ...]
    """Fingerprints of the master keys that it can open records with, the oldest first."""
    used: bytes
    """Fingerprint of the one that it seals under."""
    settled: bool
    """Whether it has seen that nothing is left under another one than `used`, and that every node seals under that."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(MasterKeysRecord)


def seal_master_keys(record: MasterKeysRecord, keyring: Keyring) -> bytes:
    """Return the bytes to store."""
    return seal_envelope(MASTER_KEYS_FORMAT, PREFIX, _encoder.encode(record), keyring)


def resealed_master_keys(record: MasterKeysRecord, keyring: Keyring) -> bytes:
    """Return the bytes of the same record, written once more under the master key in use."""
    return seal_master_keys(msgspec.structs.replace(record, order=record.order + 1), keyring)


def open_master_keys(data: bytes, name: bytes, cluster_id: bytes, keyring: Keyring) -> MasterKeysRecord:
    """Return the record that the store has under `name`.

    Raises:
        RecordError: it was changed, moved, or belongs to another cluster.
    """
    body = open_envelope({MASTER_KEYS_FORMAT: PREFIX}, data, keyring).body
    try:
        record = _decoder.decode(body)
    except MALFORMED:
        raise RecordError(Reason.MALFORMED, "its fields are not those of what a node says of master keys") from None
    check_place(record.cluster_id, cluster_id, keyring.master_keys_name(record.node), name)
    return record


Said = Mapping[str, MasterKeysRecord]
"""Node -> what it says."""


def lacking(nodes: Collection[str], said: Said, fingerprint: bytes) -> list[str]:
    """Return the nodes that have not said that they hold that master key."""
    return [node for node in nodes if node not in said or fingerprint not in said[node].held]


def behind(nodes: Collection[str], said: Said, fingerprint: bytes) -> list[str]:
    """Return the nodes that have not said that they seal under that master key."""
    return [node for node in nodes if node not in said or said[node].used != fingerprint]


def comes_before(said: Said, one: bytes, other: bytes) -> bool:
    """Whether any node holds, or held, that first master key as a predecessor of the second."""
    for record in said.values():
        if one in record.held and other in record.held:
            return record.held.index(one) < record.held.index(other)
    return False


def is_settled(said: Said, fingerprint: bytes) -> bool:
    """Whether any node has seen the rotation to that master key end."""
    return any(record.settled and record.used == fingerprint for record in said.values())
