"""What may be known about a key, for programs and for people."""

from typing import Any, Final

from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.messages import KeyInfo, Policy
from hsm_wire.usages import PolicyFlag, Usage
from hsmctl.key_options import flag_name
from hsmctl.moments import length_text, moment_text
from hsmctl.output import pairs

NOT_REPLICATED: Final = "not replicated: it works while that node does, and is lost with its device"


def describe(info: KeyInfo) -> dict[str, Any]:
    """Return what may be known about a key, as JSON has it; null is for what there is not."""
    return {
        "id": info.key_id.hex(),
        "type": info.key_type,
        "label": info.label,
        "enabled": info.enabled,
        "usage": [str(usage.name).lower() for usage in Usage if info.usage & usage],
        "version": info.version,
        "created": moment_text(info.created),
        "origin": info.origin,
        "policy": {
            "flags": [flag_name(flag) for flag in PolicyFlag if info.policy.flags & flag],
            "mechanisms": [_alias(number) for number in info.policy.mechanisms],
            "not_before": _moment(info.policy.not_before),
            "not_after": _moment(info.policy.not_after),
            "max_uses": info.policy.max_uses or None,
            "destruction_wait_s": info.policy.destruction_wait_s,
        },
        "destroy_at": _moment(info.destroy_at),
        "uses": info.uses if info.policy.max_uses else None,
        "replaces": info.replaces.hex() or None,
        "replaced_by": info.replaced_by.hex() or None,
        "adopted_at": info.adopted_at or None,
    }


def text_of(info: KeyInfo) -> str:
    """Return the same as lines for people: without what there is not."""
    document = describe(info)
    usage = " ".join(document["usage"])
    shown = {**document, "enabled": "yes" if info.enabled else "no", "usage": usage, "policy": policy_text(info.policy)}
    if info.adopted_at:
        shown["adopted_at"] = f"{info.adopted_at}, and {NOT_REPLICATED}"
    return pairs({name: value for name, value in shown.items() if value is not None})


def policy_text(policy: Policy) -> str:
    """Return a policy on one line."""
    parts = [flag_name(flag) for flag in PolicyFlag if policy.flags & flag]
    if policy.mechanisms:
        parts.append("only " + " ".join(map(_alias, policy.mechanisms)))
    if policy.not_before:
        parts.append(f"from {moment_text(policy.not_before)}")
    if policy.not_after:
        parts.append(f"until {moment_text(policy.not_after)}")
    if policy.max_uses:
        parts.append(f"at most {policy.max_uses} uses")
    if policy.destruction_wait_s:
        parts.append(f"destruction waits {length_text(policy.destruction_wait_s)}")
    return ", ".join(parts) or "default"


def state_of(info: KeyInfo) -> str:
    """Return how a key stands, in a word or two for a list."""
    if info.destroy_at:
        return f"destroyed {moment_text(info.destroy_at)[: len('2026-01-31')]}"
    if not info.enabled:
        return "disabled"
    return "replaced" if info.replaced_by else "enabled"


def _alias(number: int) -> str:
    row = MECHANISMS.get(number)
    return row.alias if row is not None else f"{number:#06x}"


def _moment(unix_s: int) -> str | None:
    return moment_text(unix_s) if unix_s else None
