"""What a key may do, in plain words (design.md, section 7; issue 5, item 3). Knows nothing of the node's own checks.

A rule returns the status of a refusal, or nothing. Where several apply, a node may name any of them.
"""

from dataclasses import dataclass, replace
from typing import Final

from hsm_wire.key_types import KEY_TYPES, Family, KeyType
from hsm_wire.mechanisms import Mechanism
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag, Usage

NO_FLAGS: Final = PolicyFlag(0)
LONG_AGO: Final = 1_000
FAR_AWAY: Final = 1 << 40
"""Seconds since 1970: before and after any test."""

PERMISSION_FOR: Final = {
    ("rsa-raw", Usage.SIGN): PolicyFlag.RAW_RSA,
    ("rsa-raw", Usage.VERIFY): PolicyFlag.RAW_RSA,
    ("rsa-raw", Usage.ENCRYPT): PolicyFlag.RAW_RSA,
    ("rsa-raw", Usage.DECRYPT): PolicyFlag.RAW_RSA,
    ("rsa-pkcs1-sha1", Usage.SIGN): PolicyFlag.LEGACY_TEST,
    ("rsa-pkcs1-sha1", Usage.VERIFY): PolicyFlag.LEGACY_TEST,
    ("rsa-pkcs1", Usage.DECRYPT): PolicyFlag.PKCS1_DECRYPT,
    ("aes-cbc-pad", Usage.DECRYPT): PolicyFlag.CBC_PADDING,
}
""""Refused by default" (design.md, section 7): what a key does only if it was made for it."""
FAMILIES: Final = {
    "rsa": {Family.RSA},
    "ec": {Family.EC, Family.X},
    "ed": {Family.ED},
    "aes": {Family.AES},
    "hm": {Family.HMAC},
    "hk": {Family.SECRET, Family.AES},
    "ml-d": {Family.ML_DSA},
    "ml-k": {Family.ML_KEM},
}
"""By the beginning of a mechanism's alias: the keys that it works with. ECDSA is not for X25519."""
STAYS_AFTER_ROTATION: Final = Usage.VERIFY | Usage.DECRYPT | Usage.UNWRAP | Usage.DECAPSULATE
""""The new version signs, old ones verify and decrypt.\""""
WRAPPING_ALIASES: Final = frozenset({"rsa-oaep", "aes-kw", "aes-kwp"})
"""CBC, CTR and ECB never wrap or unwrap; GCM is not named by PKCS#11 for it."""


@dataclass(frozen=True)
class Situation:
    """A key as it was made, and what became of it."""

    name: str
    usage: Usage
    flags: PolicyFlag = NO_FLAGS
    mechanisms: tuple[int, ...] = ()
    not_before: int = 0
    not_after: int = 0
    max_uses: int = 0
    destruction_wait_s: int = 0
    label: str = ""
    became: str = ""
    """disabled, scheduled, destroyed, rotated, absent; empty: it is as it was made."""
    imported: bool = True

    @property
    def policy(self) -> list[object]:
        """The policy as the wire has it."""
        return [
            int(self.flags),
            list(self.mechanisms),
            self.not_before,
            self.not_after,
            self.max_uses,
            self.destruction_wait_s,
        ]


@dataclass(frozen=True)
class Asked:
    """A use of a key."""

    mechanism: Mechanism
    usage: Usage
    now_s: int
    own_nonce: bool = False
    """Whether the caller names the nonce of an encryption."""


def refusals(asked: Asked, key_type: KeyType, key: Situation) -> set[Status]:
    """Return why the key must not be used that way; empty: it must."""
    if key.became in ("destroyed", "absent"):
        return {Status.KEY_NOT_FOUND}
    found = {
        _of_another_kind(asked, key_type),
        _not_now(asked.now_s, key),
        _not_for_that(asked, key),
        _not_permitted(asked, key),
        _not_by_that(asked, key),
    }
    return {status for status in found if status is not None}


def _of_another_kind(asked: Asked, key_type: KeyType) -> Status | None:
    """A mechanism works with its own kind of key."""
    return None if key_type.family in families_of(asked.mechanism) else Status.KEY_TYPE


def _not_now(now_s: int, key: Situation) -> Status | None:
    """A key that is disabled or waits for its destruction does nothing, nor one before or after its time."""
    if key.became in ("disabled", "scheduled") or now_s < key.not_before:
        return Status.KEY_DISABLED
    return Status.KEY_DISABLED if key.not_after and now_s > key.not_after else None


def _not_for_that(asked: Asked, key: Situation) -> Status | None:
    """A key does what it was made for; one that was rotated only opens and checks what it made."""
    usage = key.usage & STAYS_AFTER_ROTATION if key.became == "rotated" else key.usage
    return None if usage & asked.usage else Status.KEY_USAGE


def _not_permitted(asked: Asked, key: Situation) -> Status | None:
    """What is dangerous needs a permission that the key was made with."""
    needed = PERMISSION_FOR.get((asked.mechanism.alias, asked.usage), NO_FLAGS)
    if asked.own_nonce:
        needed |= PolicyFlag.CALLER_IV
    return None if needed in key.flags else Status.KEY_USAGE


def _not_by_that(asked: Asked, key: Situation) -> Status | None:
    """A policy that names mechanisms allows no others."""
    return Status.KEY_USAGE if key.mechanisms and asked.mechanism.number not in key.mechanisms else None


def families_of(mechanism: Mechanism) -> set[Family]:
    """Return the keys that a mechanism works with."""
    alias = mechanism.alias
    if alias.startswith("ecdsa"):
        return {Family.EC}
    return next(families for start, families in FAMILIES.items() if alias.startswith(start))


def counts(usage: Usage, key_type: KeyType) -> bool:
    """Say whether a use counts: the secret part works, or the key leaves; anybody has the public part."""
    if usage in (Usage.VERIFY, Usage.ENCAPSULATE):
        return False
    return usage not in (Usage.ENCRYPT, Usage.WRAP) or key_type.symmetric


def wrap_refusals(
    wrapping_type: str, wrapping: Situation, target_type: str, target: Situation, now_s: int
) -> set[Status]:
    """Return why a key must not leave under another one that itself may wrap; empty: it may."""
    if target.became in ("destroyed", "absent"):
        return {Status.KEY_NOT_FOUND}
    found: set[Status] = set()
    if _not_now(now_s, target):
        found.add(Status.KEY_DISABLED)
    if not target.flags & PolicyFlag.EXPORTABLE:
        found.add(Status.KEY_USAGE)  # it never leaves
    if KEY_TYPES[wrapping_type].strength < KEY_TYPES[target_type].strength:
        found.add(Status.KEY_USAGE)  # none is wrapped by a weaker one
    if wrapping.imported and not target.imported:
        found.add(Status.KEY_USAGE)  # somebody outside may know the wrapping key
    if wrapping.flags & ~target.flags & ~(PolicyFlag.STRICT | PolicyFlag.EXPORTABLE):
        found.add(Status.KEY_USAGE)  # its copy could do what it may not
    return found


def situations(key_type: KeyType, usage: Usage, mechanisms: tuple[int, ...], another: int) -> list[Situation]:
    """Return the situations of a key of that type: one thing after the other, on keys that do all they can.

    Args:
        key_type: of the key.
        usage: that is asked for: a key that wraps does nothing else.
        mechanisms: that work with it.
        another: one that does not.
    """
    wrapping = Usage.WRAP | Usage.UNWRAP
    all_it_can = key_type.usages & wrapping if usage & wrapping else key_type.usages & ~wrapping
    found = [Situation(f"only to {usage.name}", usage) for usage in key_type.usages]
    return found + _of_policy(Situation("", all_it_can), mechanisms, another) if all_it_can else found


def _of_policy(whole: Situation, mechanisms: tuple[int, ...], another: int) -> list[Situation]:
    may_leave = not whole.usage & (Usage.WRAP | Usage.UNWRAP)  # a wrapping key never leaves
    every = PolicyFlag(0x7F) if may_leave else PolicyFlag(0x7E)
    return [
        replace(whole, name="as it is"),
        *(replace(whole, name=f"only {flag.name}", flags=flag) for flag in every),
        *(replace(whole, name=f"all but {flag.name}", flags=every & ~flag) for flag in every),
        replace(whole, name="every flag", flags=every),
        *(replace(whole, name=f"mechanism {number:#x}", flags=every, mechanisms=(number,)) for number in mechanisms),
        replace(whole, name="all mechanisms", flags=every, mechanisms=mechanisms),
        replace(whole, name="another mechanism", flags=every, mechanisms=(another,)),
        replace(whole, name="since long ago", flags=every, not_before=LONG_AGO),
        replace(whole, name="not yet", flags=every, not_before=FAR_AWAY),
        replace(whole, name="until far away", flags=every, not_after=FAR_AWAY),
        replace(whole, name="no longer", flags=every, not_after=LONG_AGO),
        replace(whole, name="for a while", flags=every, not_before=LONG_AGO, not_after=FAR_AWAY),
        replace(whole, name="labelled", flags=every, label="Schlüssel 鍵"),
        replace(whole, name="that waits when destroyed", flags=every, destruction_wait_s=3600),
        *(
            replace(whole, name=became, flags=every, became=became)
            for became in ("disabled", "scheduled", "destroyed", "rotated")
        ),
    ]
