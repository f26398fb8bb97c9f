"""What a key becomes: new, changed, destroyed. Checks what was asked for and returns the next record."""

import unicodedata
from collections.abc import Collection
from typing import Final

import msgspec

from hsm_node.core.keyring import MASTER_KEY_VERSION
from hsm_node.core.policies import check_narrower, check_policy, check_usage
from hsm_node.core.records import KEPT_CHANGES, Record
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES, KeyType
from hsm_wire.messages import GenerateKey, ImportKey, Policy, UpdateKey
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


def check_new_key(
    request: GenerateKey | ImportKey, offered_types: Collection[str], *, legacy_tests: bool = False
) -> KeyType:
    """Return the type of a key that may be made; check its usage and policy.

    `legacy_tests`: whether this cluster may have keys that sign with SHA-1.
    """
    key_type = KEY_TYPES.get(request.key_type)
    if key_type is None:
        raise Refusal(Status.BAD_REQUEST, f"there is no key type {request.key_type!r}")
    if key_type.name not in offered_types:
        raise Refusal(Status.MECHANISM_NOT_HERE, f"this node makes no keys of type {key_type.name}", not_executed=True)
    usage = request.usage or int(key_type.default_usages)
    check_usage(usage, key_type)
    check_label(request.label)
    check_policy(request.policy, usage, legacy_tests=legacy_tests)
    _check_enforced(request.policy)
    return key_type


def _check_enforced(policy: Policy) -> None:
    """Refuse what this version would not hold a caller to: a policy that nobody enforces is a lie."""
    if policy.max_uses:
        raise Refusal(Status.BAD_REQUEST, "this version does not count uses: max_uses must be 0")
    if policy.destruction_wait_s:
        raise Refusal(Status.BAD_REQUEST, "this version destroys at once: destruction_wait_s must be 0")


def check_label(label: str) -> None:
    """Refuse what a terminal or a log would obey: labels are read by people."""
    if any(unicodedata.category(character) in _UNPRINTED for character in label):
        raise Refusal(Status.BAD_REQUEST, "the label has control or formatting characters; leave them out")


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
        check_narrower(record.policy, policy)
        # What the key has it keeps: a permission that no new key would get here is nothing to refuse a change for.
        check_policy(policy, usage, legacy_tests=True)
        _check_enforced(policy)
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
