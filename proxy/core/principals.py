"""Who asks: one number per identity and certificate, announced on a link by BIND before its first use there.

Numbers are counted up and not used again, so a late request of one identity can never be taken for another's.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from hsm_wire import kinds
from hsm_wire.frames import encode_frame
from hsm_wire.messages import Bind, Unbind, encode_body
from proxy.core.control_budget import ControlBudget
from proxy.core.parties import Link


class Bound:
    """An identity with its number; shared by all connections of that identity."""

    __slots__ = ("bind_frame", "control", "identity", "number", "partition", "roles", "users")

    def __init__(self, bind: Bind) -> None:
        self.identity = bind.identity
        self.number = bind.number
        self.partition = bind.partition
        self.roles = frozenset(bind.roles)
        self.bind_frame = encode_frame(kinds.BIND, encode_body(bind))
        self.users = 0
        self.control = ControlBudget()


class _Key(NamedTuple):
    identity: str
    partition: int
    roles: tuple[str, ...]
    certificate_sha256: bytes
    not_after: int


class Principals:
    """All identities that have a connection."""

    __slots__ = ("_bound", "_keys", "_next", "_users")

    def __init__(self) -> None:
        self._bound: dict[_Key, Bound] = {}
        self._keys: dict[int, _Key] = {}
        self._users: Counter[str] = Counter()
        self._next = 1

    def __len__(self) -> int:
        return len(self._bound)

    def join(
        self, identity: str, partition: int, roles: Iterable[str], certificate_sha256: bytes = b"", not_after: int = 0
    ) -> Bound:
        """Return the number for one more connection of that identity."""
        key = _Key(identity, partition, tuple(sorted(roles)), certificate_sha256, not_after)
        bound = self._bound.get(key)
        if bound is None:
            bind = Bind(self._next, identity, partition, list(key.roles), certificate_sha256, not_after)
            bound = self._bound[key] = Bound(bind)
            self._keys[bound.number] = key
            self._next += 1
        bound.users += 1
        self._users[identity] += 1
        return bound

    def users(self, identity: str) -> int:
        """Return how many connections an identity has, whatever the certificates that it shows."""
        return self._users[identity]

    def leave(self, bound: Bound, links: Iterable[Link]) -> None:
        """Note that a connection has gone; the last one ends the number on every link."""
        bound.users -= 1
        self._users[bound.identity] -= 1
        if not self._users[bound.identity]:
            del self._users[bound.identity]
        if bound.users:
            return
        del self._bound[self._keys.pop(bound.number)]
        frame = encode_frame(kinds.UNBIND, encode_body(Unbind(bound.number)))
        for link in links:
            if bound.number in link.announced:
                link.announced.discard(bound.number)
                link.sink(frame)
