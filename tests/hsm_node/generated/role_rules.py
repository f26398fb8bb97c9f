"""Who may ask for what, in plain words (design.md, sections 3 and 7; issue 5, item 2). Knows nothing of the tables."""

from typing import Final, NamedTuple

from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

PEOPLE: Final = frozenset({"use", "manage", "audit", "operate"})
"""Roles that can be granted."""
_LOCAL: Final = (Opcode.UNSEAL, Opcode.DR_PROMOTE, Opcode.DR_VOUCH, Opcode.DR_DEMOTE, Opcode.DR_RECONCILE)
_READING: Final = ("DESCRIBE", "FIND", "READ")


class Somebody(NamedTuple):
    """Whom a BIND has announced."""

    roles: frozenset[str]
    partition: int = 1
    expired: bool = False
    proxy: bool = False
    """Whether it is a proxy; else a client."""

    @property
    def bound(self) -> bool:
        """Whether the BIND is taken: the role check is a proxy's own, its only one, and in no partition."""
        if self.proxy or "check" in self.roles:
            return self.proxy and self.roles == {"check"} and not self.partition
        return True

    def __str__(self) -> str:
        kind = "proxy" if self.proxy else "client"
        return (
            f"{kind} {'+'.join(sorted(self.roles)) or 'without a role'} of {self.partition}{', expired' * self.expired}"
        )


def entitled(opcode: Opcode) -> frozenset[str]:
    """Return the roles of which one is enough."""
    area, name = opcode >> 8, opcode.name
    if name in ("CHECK", "USAGE"):
        return frozenset({"check"})  # a proxy, and nobody else
    if name in ("INFO", "STATUS", "EVENTS"):
        return PEOPLE  # whoever has a role
    if name == "READ_AUDIT":
        return frozenset({"audit"})
    if area == 4:
        return frozenset({"operate"})  # the cluster
    if name == "RANDOM" or name.startswith(_READING):
        return frozenset({"use", "manage"})
    if area == 2:
        return frozenset({"use"})  # keys at work
    return frozenset({"manage"})  # keys and objects are made, changed, taken out, brought in, destroyed


def needs_partition(opcode: Opcode) -> bool:
    """Say whether it is about somebody's keys or objects."""
    return opcode >> 8 in (1, 2, 3)


def verdict(somebody: Somebody, opcode: Opcode, *, offered: bool) -> Status:
    """Return OK where it is allowed, else the status of the refusal."""
    if not somebody.bound:
        return Status.DENIED  # a number that means nobody
    if opcode in _LOCAL or opcode.name.endswith("_BACKUP"):
        return Status.DENIED  # these are for the node's own host
    if not offered:
        return Status.UNKNOWN_OPERATION
    if not somebody.roles & entitled(opcode) or somebody.expired:
        return Status.DENIED
    if needs_partition(opcode) and not somebody.partition:
        return Status.DENIED
    return Status.OK
