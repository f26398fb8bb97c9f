"""What a backup and what a side that was left behind may do with keys and with objects: see `restoring`."""

import msgspec

from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import tombstone
from hsm_node.core.object_lifecycle import destroyed_object
from hsm_node.core.object_records import ObjectRecord, open_object
from hsm_node.core.reconciling import joined_key, joined_object
from hsm_node.core.records import Record, open_record
from hsm_node.core.restoring import Home


class KeyRestoring:
    """Implements `Restoring` for keys."""

    def opened(self, data: bytes, name: bytes, cluster_id: bytes, ring: Keyring) -> Record:
        return open_record(data, name, cluster_id, ring)

    def at_home(self, record: Record, home: Home) -> Record:
        # The count of master keys may be another one there, so the record's number says nothing. Who holds one alone
        # has opened the record with it, and material is wrapped under the same; else it is wrapped anew.
        ring = home.keyring
        wrapped = record.wrapped
        if wrapped and ring.several:
            wrapped = ring.rewrap(wrapped, record.true_length)
        return msgspec.structs.replace(
            record, cluster_id=home.cluster_id, epoch=home.epoch, wrapped=wrapped, master_key_version=ring.version
        )

    def due(self, record: Record, now_s: float) -> bool:
        return 0 < record.destroy_at <= now_s

    def staying(self, record: Record, now_s: float) -> Record:
        return msgspec.structs.replace(record, destroy_at=0, enabled=False) if self.due(record, now_s) else record

    def same(self, record: Record, held: Record) -> bool:
        if record.destroyed:  # Its material is gone; whose it was is left.
            return _origin(record) == _origin(held)
        # RFC 5649 has no chance in it: the same material under the same key is the same bytes.
        comparable = record.master_key_version == held.master_key_version
        return _made_as(record) == _made_as(held) and (not comparable or record.wrapped == held.wrapped)

    def same_state(self, record: Record, held: Record) -> bool:
        return _state(record) == _state(held)

    def buried(self, record: Record) -> Record:
        return record if record.destroyed else tombstone(record, b"")

    def after(self, record: Record, held: Record, now_s: float) -> Record:
        return msgspec.structs.replace(
            self.staying(record, now_s),
            version=held.version + 1,
            sequence=held.order + 1,
            creation_digest=held.creation_digest,
            changes=held.changes,
            uses=max(record.uses, held.uses),
            gcm_leased=max(record.gcm_leased, held.gcm_leased),
        )

    def counted(self, record: Record, order: int) -> Record:
        order = max(order, record.order)
        return msgspec.structs.replace(record, version=max(order, record.version) + 1, sequence=order + 1)

    def set_back(self, record: Record, held: Record, now_s: float) -> Record:
        then = self.staying(record, now_s)
        return msgspec.structs.replace(
            held,
            version=held.version + 1,
            sequence=held.order + 1,
            label=then.label,
            usage=then.usage,
            enabled=then.enabled,
            policy=then.policy,
            destroy_at=then.destroy_at,
        )

    def ended(self, held: Record) -> Record:
        return tombstone(held, b"")

    def joined(self, record: Record, held: Record) -> Record:
        return joined_key(record, held)


class ObjectRestoring:
    """Implements `Restoring` for objects."""

    def opened(self, data: bytes, name: bytes, cluster_id: bytes, ring: Keyring) -> ObjectRecord:
        return open_object(data, name, cluster_id, ring)

    def at_home(self, record: ObjectRecord, home: Home) -> ObjectRecord:
        return msgspec.structs.replace(record, cluster_id=home.cluster_id, epoch=home.epoch)

    def due(self, _record: ObjectRecord, _now_s: float) -> bool:
        return False

    def staying(self, record: ObjectRecord, _now_s: float) -> ObjectRecord:
        return record

    def same(self, record: ObjectRecord, held: ObjectRecord) -> bool:
        return (record.kind, record.created) == (held.kind, held.created)

    def same_state(self, record: ObjectRecord, held: ObjectRecord) -> bool:
        return (record.label, record.value) == (held.label, held.value)

    def buried(self, record: ObjectRecord) -> ObjectRecord:
        return record

    def after(self, record: ObjectRecord, held: ObjectRecord, _now_s: float) -> ObjectRecord:
        return msgspec.structs.replace(
            record,
            version=held.version + 1,
            order=held.order + 1,
            creation_digest=held.creation_digest,
            changes=held.changes,
        )

    def counted(self, record: ObjectRecord, order: int) -> ObjectRecord:
        order = max(order, record.order)
        return msgspec.structs.replace(record, version=max(order, record.version) + 1, order=order + 1)

    def set_back(self, record: ObjectRecord, held: ObjectRecord, _now_s: float) -> ObjectRecord:
        return msgspec.structs.replace(
            held, version=held.version + 1, order=held.order + 1, label=record.label, value=record.value
        )

    def ended(self, held: ObjectRecord) -> ObjectRecord:
        return destroyed_object(held, b"")

    def joined(self, record: ObjectRecord, held: ObjectRecord) -> ObjectRecord:
        return joined_object(record, held)


def _origin(record: Record) -> tuple[object, ...]:
    return record.key_type, record.created, record.origin, record.public_key, record.creation_digest


def _made_as(record: Record) -> tuple[object, ...]:
    return record.key_type, record.true_length, record.created, record.origin, record.public_key


def _state(record: Record) -> tuple[object, ...]:
    return record.label, record.usage, record.enabled, record.policy, record.destroy_at
