"""What the operator wants of a node (ready, drain, maintain), as a record of the store (design.md section 6, rule 6).

It is sealed like a key's record, under a format number of its own, in the same table and under the same revisions;
so it is followed, compared and fenced like them. It is no secret, and not encrypted.
"""

from typing import Final

import msgspec

from hsm_node.core.envelopes import MALFORMED, Reason, RecordError, check_place, open_envelope, seal_envelope
from hsm_node.core.keyring import Keyring
from hsm_node.core.records import remembered

NODE_STATE_FORMAT: Final = 2
READY: Final = "ready"
STATES: Final = (READY, "drain", "maintain")
PREFIX: Final = b"redoubt node state\x01"


class NodeStateRecord(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """The administrative state of one node."""

    cluster_id: bytes
    node: str
    state: str
    version: int
    """Counts changes, from 1."""
    epoch: int
    changes: tuple[bytes, ...]
    """Marks of the last changes, the newest last."""

    @property
    def order(self) -> int:
        """How often it was written."""
        return self.version


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(NodeStateRecord)


def seal_node_state(record: NodeStateRecord, keyring: Keyring) -> bytes:
    """Return the bytes to store."""
    return seal_envelope(NODE_STATE_FORMAT, PREFIX, _encoder.encode(record), keyring)


def resealed_node_state(record: NodeStateRecord, keyring: Keyring) -> bytes:
    """Return the bytes of the same record, written once more under the master key in use."""
    return seal_node_state(msgspec.structs.replace(record, version=record.version + 1), keyring)


def open_node_state(data: bytes, name: bytes, cluster_id: bytes, keyring: Keyring) -> NodeStateRecord:
    """Return the record that the store has under `name`.

    Raises:
        RecordError: it was changed, moved, or belongs to another cluster.
    """
    body = open_envelope({NODE_STATE_FORMAT: PREFIX}, data, keyring).body
    try:
        record = _decoder.decode(body)
    except MALFORMED:
        raise RecordError(Reason.MALFORMED, "its fields are not those of a node's state") from None
    check_place(record.cluster_id, cluster_id, keyring.node_name(record.node), name)
    return record


def next_node_state(
    before: NodeStateRecord | None,
    cluster_id: bytes,
    epoch: int,
    node: str,
    state: str,
    mark: bytes,
    *,
    after_version: int = 0,
) -> NodeStateRecord:
    """Return the record after a change.

    Args:
        before: the last authentic record that is known.
        cluster_id: of the store.
        epoch: of the store.
        node: whose state.
        state: the new one.
        mark: of the change.
        after_version: of a damaged row that is replaced: its revision. Its version cannot be read, but a record's
            version is never above its revision, so no node takes the new record for an earlier one.
    """
    changes = () if before is None else before.changes
    return NodeStateRecord(
        cluster_id=cluster_id,
        node=node,
        state=state,
        version=max(0 if before is None else before.version, after_version) + 1,
        epoch=epoch,
        changes=remembered(changes, mark),
    )
