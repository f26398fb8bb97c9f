"""What a key becomes: new, changed, destroyed. Checks what was asked for and returns the next record."""

import unicodedata
from collections.abc import Collection
from typing import Final

import msgspec

from hsm_node.core.keyring import MASTER_KEY_VERSION
from hsm_node.core.policies import (
    ADOPTED,
    REPLACED,
    check_adopted,
    check_narrower,
    check_policy,
    check_remade,
    check_usage,
)
from hsm_node.core.records import Record, next_record, remembered
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES, KeyType
from hsm_wire.messages import (
    AdoptKey,
    Decapsulate,
    Derive,
    Encapsulate,
    GenerateKey,
    ImportKey,
    Policy,
    UnwrapKey,
    UpdateKey,
)
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

_UNPRINTED: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of Unicode: control, formatting (writing direction too), surrogates, line separators."""


class Origin(msgspec.Struct, frozen=True):
    """Where and when a record is made."""

    cluster_id: bytes
    epoch: int
    partition: int
    created: int


class WrappedKey(msgspec.Struct, frozen=True):
    """What a back end returns for a new key."""

    wrapped: bytes
    true_length: int
    public_key: bytes
    master_key_version: int = MASTER_KEY_VERSION
    """Of the master key that it was wrapped under."""
    device_object: str = ""
    """Label of a key that stays in the device, and is not wrapped."""
    adopted_at: str = ""
    """Node whose device that is."""


class NewKey(msgspec.Struct, frozen=True):
    """A key that was asked for and may be made."""

    key_id: bytes
    key_type: KeyType
    label: str
    usage: int
    policy: Policy
    origin: str
    """generated, imported, derived, unwrapped or adopted."""


Creating = GenerateKey | AdoptKey | ImportKey | UnwrapKey | Derive | Encapsulate | Decapsulate
"""Requests that make a key and say what it shall be."""

_ORIGINS: Final = {
    GenerateKey: "generated",
    AdoptKey: ADOPTED,
    ImportKey: "imported",
    UnwrapKey: "unwrapped",
    Derive: "derived",
    Encapsulate: "derived",
    Decapsulate: "derived",
}


def check_new_key(request: Creating, offered_types: Collection[str], *, legacy_tests: bool = False) -> NewKey:
    """Return the key that is to be made; check its type, usage, label and policy.

    `legacy_tests`: whether this cluster may have keys that sign with SHA-1.
    """
    key_type = KEY_TYPES.get(request.key_type)
    if key_type is None:
        raise Refusal(Status.BAD_REQUEST, f"there is no key type {request.key_type!r}")
    if key_type.name not in offered_types:
        text = f"not every node makes and uses keys of type {key_type.name}"
        raise Refusal(Status.MECHANISM_NOT_HERE, text, not_executed=True)
    usage = request.usage or int(key_type.default_usages)
    check_usage(usage, key_type)
    check_remade(usage, _ORIGINS[type(request)])
    check_adopted(usage, request.policy, _ORIGINS[type(request)])
    check_label(request.label)
    check_policy(request.policy, usage, legacy_tests=legacy_tests)
    key_id = request.new_key_id if isinstance(request, Derive | Encapsulate | Decapsulate) else request.key_id
    return NewKey(key_id, key_type, request.label, usage, request.policy, _ORIGINS[type(request)])


def rotated_key(record: Record, new_key_id: bytes) -> NewKey:
    """Return the key that takes over from one that is rotated: the same in all but its material."""
    return NewKey(
        new_key_id, KEY_TYPES[record.key_type], record.label, record.usage, record.policy, _ORIGINS[GenerateKey]
    )


def check_label(label: str) -> None:
    """Refuse what a terminal or a log would obey: labels are read by people."""
    if any(unicodedata.category(character) in _UNPRINTED for character in label):
        raise Refusal(Status.BAD_REQUEST, "the label has control or formatting characters; leave them out")


def new_record(
    wanted: NewKey, made: WrappedKey, origin: Origin, digest: bytes, *, replaces: bytes = b"", answer: bytes = b""
) -> Record:
    """Return version 1 of a key's record.

    Args:
        wanted: what was asked for.
        made: the key itself, wrapped.
        origin: where and when.
        digest: of the request, so that it finds itself when it is sent again.
        replaces: the key that it was rotated from.
        answer: what the request is answered beside the key.
    """
    return Record(
        cluster_id=origin.cluster_id,
        partition=origin.partition,
        key_id=wanted.key_id,
        version=1,
        epoch=origin.epoch,
        master_key_version=made.master_key_version,
        key_type=wanted.key_type.name,
        true_length=made.true_length,
        label=wanted.label,
        usage=wanted.usage,
        enabled=True,
        destroyed=False,
        created=origin.created,
        origin=wanted.origin,
        public_key=made.public_key,
        policy=wanted.policy,
        creation_digest=digest,
        changes=(),
        wrapped=made.wrapped,
        sequence=1,
        replaces=replaces,
        answer=answer,
        device_object=made.device_object,
        adopted_at=made.adopted_at,
    )


def updated_record(record: Record, update: UpdateKey, mark: bytes) -> Record:
    """Return the record after UPDATE_KEY."""
    if update.expected_version and update.expected_version != record.version:
        raise Refusal(Status.KEY_CHANGED, f"the key is at version {record.version}, not {update.expected_version}")
    if update.label is not None:
        check_label(update.label)
    usage = record.usage if update.usage is None else update.usage
    if usage & ~record.usage:
        kept = " ".join(bit.name.lower() for bit in Usage if bit.name and record.usage & bit) or "none"
        raise Refusal(Status.BAD_REQUEST, f"a usage may only be taken away; the key has {kept}")
    policy = record.policy
    if update.policy is not None:
        policy = update.policy
        check_narrower(record.policy, policy)
        # What the key has it keeps: a permission that no new key would get here is nothing to refuse a change for.
        check_policy(policy, usage, legacy_tests=True)
    return next_record(
        record,
        label=record.label if update.label is None else update.label,
        enabled=record.enabled if update.enabled is None else update.enabled,
        usage=usage,
        policy=policy,
        destroy_at=0 if update.enabled else record.destroy_at,  # whoever enables a key wants it to stay
        changes=remembered(record.changes, mark),
    )


def replaced_record(record: Record, new_key_id: bytes, mark: bytes) -> Record:
    """Return the record of a key that was rotated: it only opens and checks what it made."""
    if record.replaced_by:
        raise Refusal(
            Status.KEY_CHANGED, f"this key was rotated to {record.replaced_by.hex()} already; rotate that one"
        )
    return next_record(
        record, usage=record.usage & int(REPLACED), replaced_by=new_key_id, changes=remembered(record.changes, mark)
    )


def destroyed_record(record: Record, wait_s: int, now_s: float, mark: bytes) -> Record:
    """Return the record after DESTROY_KEY: a tombstone, or disabled until the time of its destruction.

    Args:
        record: of the key.
        wait_s: what the caller wants; the policy may want more.
        now_s: seconds since 1970.
        mark: of the request; empty when a scheduled time has come.
    """
    wait_s = max(wait_s, record.policy.destruction_wait_s)
    if not wait_s or 0 < record.destroy_at <= now_s:
        return tombstone(record, mark)
    destroy_at = record.destroy_at or int(now_s) + wait_s  # asked again, it comes no later and no sooner
    return next_record(record, enabled=False, destroy_at=destroy_at, changes=remembered(record.changes, mark))


def tombstone(record: Record, mark: bytes) -> Record:
    """Return the record of the destroyed key: its id stays used up, its material is gone."""
    return next_record(
        record,
        enabled=False,
        destroyed=True,
        wrapped=b"",
        true_length=0,
        answer=b"",
        changes=remembered(record.changes, mark),
        use_marks=(),
    )
