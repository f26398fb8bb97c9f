"""Who asks: what BIND announced on one connection."""

from typing import Final

import msgspec

from hsm_node.core.refusal import Refusal
from hsm_wire.messages import Bind
from hsm_wire.statuses import Status

MAX_BINDINGS: Final = 65_536
"""Principals bound on one connection at a time: about 20 MB at worst."""


class Principal(msgspec.Struct, frozen=True):
    """An identity, with what it may do."""

    identity: str
    partition: int
    roles: frozenset[str]
    not_after: int
    """End of its certificate, seconds since 1970; 0 = none."""


class Bindings:
    """The numbers that one connection has bound."""

    __slots__ = ("_by_number", "_prefix", "limit")

    def __init__(self, cluster: str, limit: int = MAX_BINDINGS) -> None:
        self._prefix = f"spiffe://{cluster}/"
        self._by_number: dict[int, Principal] = {}
        self.limit = limit

    def __len__(self) -> int:
        return len(self._by_number)

    def bind(self, bind: Bind) -> None:
        """Take a BIND; a number bound again means the new identity from now on.

        Raises:
            Refusal: the identity is not of this cluster, or there are too many.
        """
        if not bind.identity.startswith(self._prefix):
            raise Refusal(Status.DENIED, f"BIND {bind.number}: the identity is not of this cluster")
        if len(self._by_number) >= self.limit and bind.number not in self._by_number:
            raise Refusal(Status.OVERLOADED, f"BIND {bind.number}: {self.limit} principals are bound; UNBIND some")
        self._by_number[bind.number] = Principal(bind.identity, bind.partition, frozenset(bind.roles), bind.not_after)

    def unbind(self, number: int) -> None:
        """Forget a number; one that is not bound is forgotten already."""
        self._by_number.pop(number, None)

    def principal(self, number: int) -> Principal | None:
        """Return who the number means, or None."""
        return self._by_number.get(number)
