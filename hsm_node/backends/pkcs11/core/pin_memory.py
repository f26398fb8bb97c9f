"""When a PIN may be tried: a token that counts wrong PINs must never be locked by a node that starts again and again.

Theory. Whether an attempt was wrong is known only when it has ended, and a node may end before that. So an attempt is
written down before it is made. Per value there is one attempt, unless it was right. An attempt whose end nobody saw
counts as wrong for a PIN that was never right; one that was right before is tried again as long as the token says that
no wrong one was entered since (CKF_USER_PIN_COUNT_LOW). Two wrong values are enough: from there on, an operator has to
act. So has he where the token says that one wrong PIN more would lock it.

A PIN is known by a mark of one byte (see `pin_file`), because a whole digest of a short PIN would give it away.
"""

from typing import Final

import msgspec

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11.core.return_values import OK, Fault, meaning

MAX_REFUSED: Final = 2
"""PIN values in a row. Tokens take three wrong ones at least before they lock (SmartCard-HSM 3, most HSMs 10)."""


class PinMemory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of the PINs of one token."""

    serial: str
    accepted: int | None = None
    """Mark of the PIN that was right at the last attempt that ended."""
    refused: tuple[int, ...] = ()
    """Marks of those that were wrong since one was right."""
    trying: int | None = None
    """Mark of the PIN whose attempt has begun."""


def objection(memory: PinMemory, mark: int, flags: int) -> str:
    """Return why this PIN must not be tried now; empty: it may be.

    Args:
        memory: of this token.
        mark: of the PIN.
        flags: that the token shows now.
    """
    if flags & ck.CKF_USER_PIN_LOCKED:
        return "the token has locked its user PIN; its security officer unlocks it"
    if flags & ck.CKF_USER_PIN_FINAL_TRY:
        return "one wrong PIN more would lock the token; log in once with its maker's tool, which resets the count"
    if mark in memory.refused:
        return "the token has refused this PIN; correct it"
    if len(_wrong(memory, mark)) >= MAX_REFUSED:
        return f"the token has refused {MAX_REFUSED} PINs; find the right one with its maker's tool"
    if memory.trying == mark and memory.accepted != mark:
        return "an attempt with this PIN had no end; log in once with the token's maker's tool"
    if memory.trying == mark and flags & ck.CKF_USER_PIN_COUNT_LOW:
        return "the token has counted a wrong PIN since this one was right; log in once with its maker's tool"
    return ""


def begun(memory: PinMemory, mark: int) -> PinMemory:
    """Return what is to be on disk before the attempt is made."""
    return msgspec.structs.replace(memory, refused=_wrong(memory, mark), trying=mark)


def ended(memory: PinMemory, mark: int, returned: int) -> PinMemory:
    """Return what is known after C_Login has returned."""
    if returned == OK:
        return PinMemory(memory.serial, accepted=mark)
    if meaning(returned).fault is Fault.PIN:
        accepted = None if memory.accepted == mark else memory.accepted
        return PinMemory(memory.serial, accepted, (*_wrong(memory, mark), mark))
    return memory  # Nobody knows whether the PIN was looked at: the attempt has no end.


def _wrong(memory: PinMemory, mark: int) -> tuple[int, ...]:
    """Return the marks of wrong PINs; another value's attempt without an end was perhaps one."""
    other = memory.trying
    return memory.refused if other in (None, mark, memory.accepted) else (*memory.refused, other)
