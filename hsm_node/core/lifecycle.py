"""What a key becomes: new, changed, destroyed. Checks what was asked for and returns the next record."""

import unicodedata
from collections.abc import Collection
from typing import Final

import msgspec

from hsm_node.core.keyring import MASTER_KEY_VERSION
from hsm_node.core.records import KEPT_CHANGES, Record
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES, KeyType
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.messages import GenerateKey, ImportKey, Policy, UpdateKey
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag, Usage

ENFORCED_FLAGS: Final = PolicyFlag.CALLER_IV
"""Flags that mean something here. The others are refused: a policy that nobody enforces is a lie."""


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


def check_new_key(request: GenerateKey | ImportKey, offered_types: Collection[str]) -> KeyType:
    """Return the type of a key that may be made; check its usage and policy."""
    key_type = KEY_TYPES.get(request.key_type)
    if key_type is None:
        raise Refusal(Status.BAD_REQUEST, f"there is no key type {request.key_type!r}")
    if key_type.name not in offered_types:
        raise Refusal(Status.MECHANISM_NOT_HERE, f"this node makes no keys of type {key_type.name}", not_executed=True)
    if request.usage & ~int(key_type.usages):
        raise Refusal(Status.BAD_REQUEST, f"the usage has bits that make no sense for {key_type.name}")
    check_label(request.label)
    check_policy(request.policy)
    return key_type


def check_label(label: str) -> None:
    """Refuse what a terminal or a log would obey: labels are read by people."""
    if any(unicodedata.category(character) in _UNPRINTED for character in label):
        raise Refusal(Status.BAD_REQUEST, "the label has control or formatting characters; leave them out")


def check_policy(policy: Policy) -> None:
    """Refuse a policy that this version would not enforce."""
    if policy.flags & ~int(ENFORCED_FLAGS):
        raise Refusal(Status.BAD_REQUEST, f"policy flags {policy.flags:#x}: this version enforces caller-iv only")
    if policy.max_uses:
        raise Refusal(Status.BAD_REQUEST, "this version does not count uses: max_uses must be 0")
    if policy.destruction_wait_s:
        raise Refusal(Status.BAD_REQUEST, "this version destroys at once: destruction_wait_s must be 0")
    for number in policy.mechanisms:
        if number not in MECHANISMS:
            raise Refusal(Status.BAD_REQUEST, f"the policy allows mechanism {number:#06x}, which is unknown")
    if policy.not_after and policy.not_after < policy.not_before:
        raise Refusal(Status.BAD_REQUEST, "the policy ends before it begins")


def new_record(
    request: GenerateKey | ImportKey, key_type: KeyType, made: WrappedKey, origin: Origin, digest: bytes
) -> Record:
    """Return version 1 of a key's record."""
    return Record(
        cluster_id=origin.cluster_id,
        partition=origin.partition,
        key_id=request.key_id,
        version=1,
        epoch=origin.epoch,
        master_key_version=MASTER_KEY_VERSION,
        key_type=key_type.name,
        true_length=made.true_length,
        label=request.label,
        usage=request.usage or int(key_type.default_usages),
        enabled=True,
        destroyed=False,
        created=origin.created,
        origin="imported" if isinstance(request, ImportKey) else "generated",
        public_key=made.public_key,
        policy=request.policy,
        creation_digest=digest,
        changes=(),
        wrapped=made.wrapped,
    )


def updated_record(record: Record, update: UpdateKey, mark: bytes) -> Record:
    """Return the record after UPDATE_KEY."""
    if update.expected_version and update.expected_version != record.version:
        raise Refusal(Status.KEY_CHANGED, f"the key is at version {record.version}, not {update.expected_version}")
    if update.label is not None:
        check_label(update.label)
    usage = record.usage if update.usage is None else update.usage
    if usage & ~record.usage:
        raise Refusal(Status.BAD_REQUEST, f"usage may only lose bits; the key has {Usage(record.usage)!s}")
    policy = record.policy
    if update.policy is not None:
        policy = update.policy
        check_policy(policy)
        if policy.flags & ~record.policy.flags:
            raise Refusal(Status.BAD_REQUEST, "policy flags may only be taken away: a key has them from its creation")
    return msgspec.structs.replace(
        record,
        version=record.version + 1,
        label=record.label if update.label is None else update.label,
        enabled=record.enabled if update.enabled is None else update.enabled,
        usage=usage,
        policy=policy,
        changes=_remember(record, mark),
    )


def tombstone(record: Record, mark: bytes) -> Record:
    """Return the record of the destroyed key: its id stays used up, its material is gone."""
    return msgspec.structs.replace(
        record,
        version=record.version + 1,
        enabled=False,
        destroyed=True,
        wrapped=b"",
        true_length=0,
        changes=_remember(record, mark),
    )


def _remember(record: Record, mark: bytes) -> tuple[bytes, ...]:
    return (*record.changes, mark)[-KEPT_CHANGES:] if mark else record.changes
