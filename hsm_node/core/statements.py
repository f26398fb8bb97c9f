"""What nodes tell each other in the store beside records: that one is there, how far it is, who is out.

Theory: docs/consistency.md, (a) and (b). Whoever can write the store could say all that in a node's name, and a change
would not be waited for. So each row is authenticated with a key that only nodes of this store have, and bound to the
store, to its path (what it is, and of which node), and to the life that said it: the boot id. Lives are in order: a
registration names a revision that the store had when it was made, and no earlier life has seen that. So the words of an
earlier life, put back, show as what they are.
"""

import hmac
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

import msgspec

NODES: Final = "nodes/"
"""Who is there: a row for each node that has ever registered."""
CONFIRMED: Final = "confirmed/"
"""How far each node is."""
OUT: Final = "out/"
"""Who did not confirm in time: its contacts do not count until it has deleted the row."""
WANTED: Final = "wanted"
"""Its revision is that of the newest change that somebody waits for."""
_PREFIX: Final = b"redoubt told\x01"


class Registration(msgspec.Struct, frozen=True):
    """The value of `nodes/N`."""

    boot_id: bytes
    life: int = 0
    """A revision of the store before this registration and after all earlier ones of this node."""
    stopped: bool = False
    """It serves nothing any more."""


class Confirmation(msgspec.Struct, frozen=True):
    """The value of `confirmed/N`."""

    boot_id: bytes
    revision: int
    """Everything up to it is applied."""
    warm: bool = True
    """Whether it may vouch for a node that starts."""


class Word(msgspec.Struct, frozen=True):
    """The value of `out/N` and of `wanted`: that the row is there says all."""

    boot_id: bytes
    """Of who wrote it; empty: of somebody who serves nobody."""


class _Sealed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    body: bytes
    mac: bytes


class Told(NamedTuple):
    """A row as it was read or followed."""

    path: str
    revision: int
    data: bytes | None
    """None: it was deleted."""


Statement = TypeVar("Statement", Registration, Confirmation, Word)


class Seal:
    """Makes and reads these rows. From any thread."""

    def __init__(self, mac: Callable[[bytes], bytes], cluster_id: bytes) -> None:
        """Seal for one store.

        Args:
            mac: under a key that all nodes of the store have, and nobody else.
            cluster_id: of the store.
        """
        self._mac = mac
        self._cluster_id = cluster_id

    def __repr__(self) -> str:
        return "Seal(<secret>)"

    def make(self, path: str, statement: Registration | Confirmation | Word) -> bytes:
        """Return what is stored at that path."""
        body = msgspec.msgpack.encode(statement)
        return msgspec.msgpack.encode(_Sealed(body, self._mac(self._bound(path, body))))

    def open(self, path: str, data: bytes, form: type[Statement]) -> Statement | None:
        """Return what a row says; None: it is not authentic, or not what belongs there."""
        try:
            sealed = msgspec.msgpack.decode(data, type=_Sealed)
            if not hmac.compare_digest(sealed.mac, self._mac(self._bound(path, sealed.body))):
                return None
            return msgspec.msgpack.decode(sealed.body, type=form)
        except msgspec.DecodeError:
            return None

    def _bound(self, path: str, body: bytes) -> bytes:
        where = path.encode()
        return _PREFIX + self._cluster_id + len(where).to_bytes(2, "big") + where + body
