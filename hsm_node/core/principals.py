"""Who asks: what BIND announced on one connection."""

from typing import Final

import msgspec

from hsm_node.core.refusal import Refusal
from hsm_wire.messages import Bind
from hsm_wire.operations import Role
from hsm_wire.statuses import Status

MAX_BINDINGS: Final = 65_536
"""Principals bound on one connection at a time: about 20 MB at worst."""

LOCAL_OPERATOR: Final = "local operator"
"""Root on the node's own host. No BIND announces it: identities begin with spiffe://."""


class Principal(msgspec.Struct, frozen=True):
    """An identity, with what it may do."""

    identity: str
    partition: int
    roles: frozenset[str]
    not_after: int
    """End of its certificate, seconds since 1970; 0 = none."""

    @property
    def is_local(self) -> bool:
        """Whether it came over the local socket, by no proxy and no network."""
        return self.identity == LOCAL_OPERATOR


class Bindings:
    """The numbers that one connection has bound."""

    __slots__ = ("_by_number", "_prefix", "_proxies", "limit")

    def __init__(self, cluster: str, limit: int = MAX_BINDINGS) -> None:
        self._prefix = f"spiffe://{cluster}/"
        self._proxies = f"{self._prefix}proxy/"
        self._by_number: dict[int, Principal] = {}
        self.limit = limit

    def __len__(self) -> int:
        return len(self._by_number)

    def bind(self, bind: Bind, peer: str) -> None:
        """Take a BIND of the proxy `peer` (empty without TLS); a number bound again means the new identity.

        Raises:
            Refusal: the identity is not of this cluster, has a role that is not for it, or there are too many. The
                number then means nobody: requests under it must not be served for who had it before.
        """
        try:
            self._check(bind, peer)
        except Refusal:
            self.unbind(bind.number)
            raise
        self._by_number[bind.number] = Principal(bind.identity, bind.partition, frozenset(bind.roles), bind.not_after)

    def _check(self, bind: Bind, peer: str) -> None:
        if not bind.identity.startswith(self._prefix):
            raise Refusal(Status.DENIED, f"BIND {bind.number}: the identity is not of this cluster")
        if bind.identity.startswith(self._proxies) != (Role.CHECK in bind.roles):
            raise Refusal(Status.DENIED, f"BIND {bind.number}: the role check is a proxy's own, and its only one")
        if Role.CHECK in bind.roles and (bind.partition or len(bind.roles) > 1 or (peer and bind.identity != peer)):
            raise Refusal(Status.DENIED, f"BIND {bind.number}: a proxy checks as itself, and in no partition")
        if len(self._by_number) >= self.limit and bind.number not in self._by_number:
            raise Refusal(Status.OVERLOADED, f"BIND {bind.number}: {self.limit} principals are bound; UNBIND some")

    def unbind(self, number: int) -> None:
        """Forget a number; one that is not bound is forgotten already."""
        self._by_number.pop(number, None)

    def principal(self, number: int) -> Principal | None:
        """Return who the number means, or None."""
        return self._by_number.get(number)
