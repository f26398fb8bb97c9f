"""What a key may be made with, and how that may change: usages that do not mix, policies that only get narrower.

Theory. Whoever may wrap with a key and decrypt with it has every key that it wrapped in the clear, without a fault
anywhere: the interface itself gives the keys out (Clulow, "On the security of PKCS#11", CHES 2003; Delaune, Kremer,
Steel, "Formal analysis of PKCS#11", CSF 2008; Bortolozzo, Centenaro, Focardi, Steel, "Attacking and fixing PKCS#11
security tokens", CCS 2010). So:
- a key that wraps or unwraps does nothing else;
- it never leaves the cluster itself, else it came back under another id with another usage;
- what was unwrapped or derived never wraps or unwraps: the same data or parameters make the same key again, under
  another id and with another usage;
- what was made here leaves only under a key that was made here: whoever imported a key may know it, and then has in the
  clear what it wraps. What was imported was outside before; if its importer says so, it may leave under an imported key
  too: that is the way between a cluster and a partner with whom a transport key was agreed;
- nothing is wrapped by a weaker key, whose break would be the break of the stronger;
- what is made from a key that may not leave may not leave either, and what is derived has no permission that its source
  has not: of two copies of one derived key, one could choose the nonces that the other used;
- no permission, once not given or taken away, comes back, also not by a copy: a key wraps only keys that have all its
  policy flags, and what it unwraps has no others. (A copy of an exportable key may have another usage, other times
  and limits: wrapped bytes say nothing of them. But it never wraps or unwraps, so no key is had by it.)
"""

from typing import Final

from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES, KeyType
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.messages import Policy
from hsm_wire.statuses import Status
from hsm_wire.usages import ALL_POLICY_FLAGS, PERMISSIONS, PolicyFlag, Usage

WRAPPING: Final = Usage.WRAP | Usage.UNWRAP
IMPORTED: Final = "imported"
GENERATED: Final = "generated"
REMADE: Final = frozenset({"unwrapped", "derived"})
"""Origins of keys that the same request under another id makes once more."""
ADOPTED: Final = "adopted"
"""Origin of keys that were in a device before, and stay there."""
REPLACED: Final = Usage.VERIFY | Usage.DECRYPT | Usage.UNWRAP | Usage.DECAPSULATE
"""What a key that was rotated still does: everything that opens or checks what it made before."""


def check_usage(usage: int, key_type: KeyType) -> None:
    """Refuse usages that the type does not have, or that must not meet in one key."""
    if usage & ~int(key_type.usages):
        raise Refusal(Status.BAD_REQUEST, f"the usage has bits that make no sense for {key_type.name}")
    if usage & WRAPPING and usage & ~int(WRAPPING):
        raise Refusal(
            Status.BAD_REQUEST,
            "a key that wraps or unwraps keys does nothing else: make one key for that and another one for data",
        )


def check_policy(policy: Policy, usage: int, *, legacy_tests: bool) -> None:
    """Refuse a policy that contradicts itself or the key's usage.

    Args:
        policy: as the caller wants it.
        usage: what the key will do.
        legacy_tests: whether this cluster may have keys that sign with SHA-1.
    """
    if policy.flags & ~int(ALL_POLICY_FLAGS):
        raise Refusal(Status.BAD_REQUEST, f"the policy flags {policy.flags:#x} have bits that mean nothing")
    if policy.flags & PolicyFlag.LEGACY_TEST and not legacy_tests:
        raise Refusal(Status.BAD_REQUEST, "the policy flag legacy-test is only for clusters of package sandbox")
    if policy.flags & PolicyFlag.EXPORTABLE and usage & WRAPPING:
        raise Refusal(Status.BAD_REQUEST, "a key that wraps or unwraps keys cannot be exportable")
    for number in policy.mechanisms:
        if number not in MECHANISMS:
            raise Refusal(Status.BAD_REQUEST, f"the policy allows mechanism {number:#06x}, which is unknown")
    if policy.not_after and policy.not_after < policy.not_before:
        raise Refusal(Status.BAD_REQUEST, "the policy ends before it begins")


def check_narrower(old: Policy, new: Policy) -> None:
    """Refuse a change that would allow anything that was not allowed before."""
    for wrong, words in (
        (new.flags & ~old.flags & int(PERMISSIONS), "policy flags may only be taken away"),
        (old.flags & ~new.flags & int(PolicyFlag.STRICT), "the policy flag strict stays"),
        (old.mechanisms and not new.mechanisms, "mechanisms may only be taken away: name those that stay"),
        (old.mechanisms and set(new.mechanisms) - set(old.mechanisms), "mechanisms may only be taken away"),
        (new.not_before < old.not_before, "not_before may only come later"),
        (_above(new.not_after, old.not_after), "not_after may only come earlier"),
        (_above(new.max_uses, old.max_uses), "max_uses may only shrink"),
        (new.destruction_wait_s < old.destruction_wait_s, "destruction_wait_s may only grow"),
    ):
        if wrong:
            raise Refusal(Status.BAD_REQUEST, f"a policy may only get narrower: {words}")


def stricter(one: Policy, other: Policy) -> Policy | None:
    """Return the policy that allows what both allow; None: they have no mechanism in common."""
    both = one.flags & other.flags & int(PERMISSIONS)
    mechanisms = [number for number in one.mechanisms if not other.mechanisms or number in other.mechanisms]
    if one.mechanisms and not mechanisms:
        return None  # An empty list would allow all.
    return Policy(
        flags=both | ((one.flags | other.flags) & int(PolicyFlag.STRICT)),
        mechanisms=mechanisms or list(other.mechanisms),
        not_before=max(one.not_before, other.not_before),
        not_after=_lower(one.not_after, other.not_after),
        max_uses=_lower(one.max_uses, other.max_uses),
        destruction_wait_s=max(one.destruction_wait_s, other.destruction_wait_s),
    )


def check_remade(usage: int, origin: str) -> None:
    """Refuse a wrapping key that comes in wrapped or is derived."""
    if usage & WRAPPING and origin in REMADE:
        detail = f"a key that was {origin} does not wrap or unwrap others: generate wrapping keys here"
        raise Refusal(Status.BAD_REQUEST, detail)


def check_adopted(usage: int, policy: Policy, origin: str) -> None:
    """Refuse what a key that stays in one device does not do."""
    if origin == ADOPTED and (usage & ~int(Usage.SIGN | Usage.VERIFY) or policy.flags & int(PolicyFlag.EXPORTABLE)):
        raise Refusal(Status.BAD_REQUEST, "a key that is adopted signs and verifies and does not leave its device")


def check_way_out(wrapping_origin: str, target_origin: str) -> None:
    """Refuse to wrap a key that was made here by one that somebody outside may know."""
    if wrapping_origin != GENERATED and target_origin != IMPORTED:
        raise Refusal(
            Status.KEY_USAGE,
            "a key that was made here leaves only under a key that was generated here: somebody may know this one",
        )


def check_template(wrapping: Policy, target: Policy) -> None:
    """Refuse to wrap a key by one whose unwrapped keys may do what this one may not."""
    if wrapping.flags & ~target.flags & int(PERMISSIONS):
        raise Refusal(Status.KEY_USAGE, "the wrapping key's policy flags permit what those of the wrapped key do not")


def check_unwrapped(wrapping: Policy, made: Policy) -> None:
    """Refuse an unwrapped key with permissions that its wrapping key has not; to be exportable is none of them."""
    if made.flags & ~wrapping.flags & int(PERMISSIONS & ~PolicyFlag.EXPORTABLE):
        raise Refusal(Status.KEY_USAGE, "an unwrapped key has no policy flags but those of its wrapping key")


def check_derived(source: Policy, made: Policy) -> None:
    """Refuse a derived key with permissions that its source has not: deriving twice makes two copies of one key."""
    if made.flags & ~source.flags & PolicyFlag.EXPORTABLE:
        raise Refusal(Status.KEY_USAGE, "what is made from a key that is not exportable is not exportable either")
    if made.flags & ~source.flags & int(PERMISSIONS):
        raise Refusal(Status.KEY_USAGE, "a derived key has no policy flags but those of the key it is made from")


def check_strength(wrapping_type: str, target_type: str) -> None:
    """Refuse to wrap a key by a weaker one."""
    wrapping, target = KEY_TYPES[wrapping_type].strength, KEY_TYPES[target_type].strength
    if wrapping < target:
        raise Refusal(
            Status.KEY_USAGE,
            f"a key of type {wrapping_type} ({wrapping} bits of strength) does not wrap one of type {target_type} "
            f"({target} bits); use a stronger wrapping key",
        )


def _above(new: int, old: int) -> bool:
    """Whether a bound that is 0 for none got wider."""
    return old != 0 and (new == 0 or new > old)


def _lower(one: int, other: int) -> int:
    """Return the lower one of two bounds that are 0 for none."""
    return min(filter(None, (one, other)), default=0)
