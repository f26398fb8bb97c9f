"""Who may do what with which key. Each function returns when it is allowed and raises Refusal when not.

It is on the way of every use of a key, so flags are compared as the numbers that they are: with members of a Flag it
takes twenty times as long.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from hsm_node.core.policies import REMADE, WRAPPING, check_strength, check_template, check_way_out
from hsm_node.core.principals import Principal
from hsm_node.core.record_table import Entry, TableRecord
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.mechanisms import MECHANISMS, Mechanism
from hsm_wire.operations import Operation
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag, Usage

R = TypeVar("R", bound=TableRecord)

_WRAPPING_BITS: Final = int(WRAPPING)
_NO_USAGE: Final = Usage(0)


def allow_operation(principal: Principal, operation: Operation, now_s: float) -> None:
    """Check the caller's roles, and that its certificate has not ended since it was bound."""
    if principal.roles.isdisjoint(operation.roles):
        wanted = " or ".join(operation.roles)
        raise Refusal(Status.DENIED, f"{operation.opcode.name} needs the role {wanted}")
    if principal.not_after and now_s > principal.not_after:
        raise Refusal(Status.DENIED, "the caller's certificate has expired; renew it and connect again")


def live_record(entry: Entry[R] | None, noun: str = "key") -> R:
    """Return the record of a key, or of what else `noun` says, that exists and is not destroyed."""
    if entry is None or entry.record.destroyed:
        raise Refusal(Status.KEY_NOT_FOUND, f"there is no {noun} with this id in the caller's partition")
    return entry.record


def offered_mechanism(number: int, usage: Usage, offered: Mapping[int, Usage]) -> Mechanism:
    """Return the mechanism's row, if it exists, is meant for the usage, and this back end has it."""
    mechanism = MECHANISMS.get(number)
    if mechanism is None:
        raise Refusal(Status.UNKNOWN_MECHANISM, f"mechanism {number:#06x} is unknown")
    bits = int(usage)
    if not int(mechanism.usages) & bits:
        raise Refusal(Status.UNKNOWN_MECHANISM, f"{mechanism.name} is not meant to {usage_word(usage)}")
    if not int(offered.get(number, _NO_USAGE)) & bits:
        raise Refusal(
            Status.MECHANISM_NOT_HERE,
            f"this node does not {usage_word(usage)} with {mechanism.name}",
            not_executed=True,
        )
    return mechanism


def allow_use(record: Record, mechanism: Mechanism, usage: Usage, now_s: float) -> None:
    """Check that this key may be used that way, now."""
    if KEY_TYPES[record.key_type].family not in mechanism.families:
        raise Refusal(Status.KEY_TYPE, f"{mechanism.name} does not work with a key of type {record.key_type}")
    _allow_at_all(record, now_s)
    bits = int(usage)
    if not record.usage & bits:
        raise Refusal(Status.KEY_USAGE, f"the key's usage does not allow to {usage_word(usage)}")
    # Made before the rules were, by an older version.
    if bits & _WRAPPING_BITS and (record.usage & ~_WRAPPING_BITS or record.origin in REMADE):
        raise Refusal(Status.KEY_USAGE, "a key with other usages, or that was not made here, does not wrap or unwrap")
    policy = record.policy
    if mechanism.needs:
        _check_flags(policy.flags, mechanism, usage)
    if policy.mechanisms and mechanism.number not in policy.mechanisms:
        raise Refusal(Status.KEY_USAGE, f"the key's policy does not allow {mechanism.name}")


def allow_wrap(wrapping: Record, target: Record, now_s: float) -> None:
    """Check that the target may leave, wrapped by that key, whose own use has been allowed."""
    _allow_at_all(target, now_s)
    if not target.policy.flags & PolicyFlag.EXPORTABLE:
        raise Refusal(Status.KEY_USAGE, "the key to be wrapped is not exportable")
    check_way_out(wrapping.origin, target.origin)
    check_template(wrapping.policy, target.policy)
    check_strength(wrapping.key_type, target.key_type)


def _check_flags(flags: int, mechanism: Mechanism, usage: Usage) -> None:
    """Check that the key was made for what is dangerous about the mechanism."""
    missing = mechanism.needed_flags(usage) & ~PolicyFlag(flags)
    if missing:
        flag = str(missing.name).lower().replace("_", "-")
        raise Refusal(
            Status.KEY_USAGE,
            f"to {usage_word(usage)} with {mechanism.name} needs a key made with the policy flag {flag}",
        )


def _allow_at_all(record: Record, now_s: float) -> None:
    """Check that the key may be used for anything now."""
    if not record.enabled:
        raise Refusal(Status.KEY_DISABLED, "the key is disabled")
    policy = record.policy
    if now_s < policy.not_before:
        raise Refusal(Status.KEY_DISABLED, "the key's policy has a not_before that is still to come; use another key")
    if policy.not_after and now_s > policy.not_after:
        raise Refusal(Status.KEY_DISABLED, "the key's policy has a not_after that has passed; make a new key")


def usage_word(usage: Usage) -> str:
    """Return the usage as a verb."""
    return (usage.name or str(int(usage))).lower()
