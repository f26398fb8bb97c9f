"""What a rotation of the master key has still to do, and who does it.

Theory. Every row of the store is to be sealed under the master key in use. A node knows of each row that it follows
under which one it is, so the names of those that are left are a set that only this node keeps, and that it finds again
at its next start. Which node works through its set makes no difference: a row is replaced by comparing its revision, so
of two nodes one is the faster, and the other sees that nothing is left to do. To spare that work, the node that began
goes on alone; another one takes over when the number of what is left does not fall any more.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from hsm_node.core.keyring import Keyring
from hsm_node.core.resealing import sealed_version

TAKE_OVER_S: Final = 3.0
"""Without progress: whoever works at the slowest pace shows some every second."""
STAGGER_S: Final = 1.0
"""By which the second node waits longer than the first, so that mostly one takes over."""


class Leftovers:
    """Names of the accepted rows that are not under the master key in use. Empty while one master key is held."""

    __slots__ = ("_keyring", "_names", "newer")

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._names: set[bytes] = set()
        self.newer = False
        """Whether a row was under a newer one: another node has taken that into use."""

    def __len__(self) -> int:
        return len(self._names)

    def note(self, name: bytes, data: bytes) -> None:
        """Take up the newest row of a name, which is authentic."""
        if not self._keyring.several:
            return
        version = sealed_version(data, self._keyring)
        if version == self._keyring.version:
            self._names.discard(name)
        else:
            self._names.add(name)
            self.newer |= version > self._keyring.version

    def forget(self, name: bytes) -> None:
        """Nothing is to be done about a row: it must not be used."""
        self._names.discard(name)

    def begin(self, names: Iterable[bytes]) -> None:
        """Another master key is in use now: whatever there is is under the one before, as far as anybody knows."""
        self._names = set(names)
        self.newer = False

    def some(self, limit: int) -> list[bytes]:
        """Return a few of the names."""
        return list(islice(self._names, limit))


class Turn:
    """Whether this node is the one that works."""

    __slots__ = ("_least", "_since", "_wait_s", "mine")

    def __init__(self, place: int) -> None:
        """Wait for others first; `place` among the cluster's nodes, from 0, says how long."""
        self._wait_s = TAKE_OVER_S + place * STAGGER_S
        self._least = 0
        self._since = 0.0
        self.mine = False

    def begin(self) -> None:
        """Work from now on: this node was told to."""
        self.mine = True

    def due(self, now_s: float, left: int) -> bool:
        """Whether to work, with so many rows left."""
        if not left:
            self.mine = False
            self._least = 0
        elif not self._least or left < self._least:
            self._least, self._since = left, now_s
        elif now_s - self._since >= self._wait_s:
            self.mine = True
        return self.mine
