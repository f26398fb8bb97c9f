"""Who is waited for after a change, and who is named: the rows by which nodes tell each other how far they are.

Theory: docs/consistency.md, (a). The rows are followed like all others, so what is known of them here may be old. What
is old does no harm, with one exception: a node that says that it is stopped counts only if it says so in a row that is
newer than the change, for an older one may be of its earlier life.
"""

from typing import Final, NamedTuple

import msgspec

NODES: Final = "nodes/"
"""Who is there: a row for each node that has ever registered."""
CONFIRMED: Final = "confirmed/"
"""How far each node is."""
OUT: Final = "out/"
"""Who did not confirm in time: its contacts do not count until it has deleted the row."""
WANTED: Final = "wanted"
"""Its revision is that of the newest change that somebody waits for."""
CURRENT_S: Final = 1.0
"""Since the begin of the last contact that counts: so long a node is current."""
WAIT_S: Final = 3 * CURRENT_S
"""For the nodes of a list: three times what a node is current for without a contact, so clocks may differ threefold."""


class Registration(msgspec.Struct, frozen=True):
    """The value of `nodes/N`."""

    boot_id: bytes
    stopped: bool = False
    """It serves nothing any more."""


class Confirmation(msgspec.Struct, frozen=True):
    """The value of `confirmed/N`."""

    revision: int
    """Everything up to it is applied."""
    warm: bool = True
    """Whether it may vouch for a node that starts."""


class Told(NamedTuple):
    """A row as it was read or followed."""

    path: str
    revision: int
    data: bytes | None
    """None: it was deleted."""


class Nodes:
    """What the rows say, as far as they are known here."""

    def __init__(self) -> None:
        """Know of nobody."""
        self.registered: dict[str, tuple[int, Registration]] = {}
        """Node -> revision of its row, and what it says."""
        self.confirmed: dict[str, int] = {}
        """Node -> the highest revision that it has confirmed."""
        self.out: dict[str, tuple[int, float]] = {}
        """Node -> revision of its row, and when that was first seen here."""
        self.wanted = 0
        """Revision of the newest change that somebody waits for."""

    def take(self, told: Told, now: float) -> None:
        """Take a row; an older one than is known changes nothing."""
        path, revision, data = told
        if path == WANTED:
            self.wanted = max(self.wanted, revision)
        elif path.startswith(NODES):
            name = path[len(NODES) :]
            if revision > self.registered.get(name, (0, None))[0]:
                self._registered(name, revision, data)
        elif path.startswith(CONFIRMED) and data is not None:
            name = path[len(CONFIRMED) :]
            self.confirmed[name] = max(self.confirmed.get(name, 0), _confirmed(data))
        elif path.startswith(OUT):
            self._out(path[len(OUT) :], revision, data, now)

    def replace(self, rows: list[Told], now: float) -> None:
        """Take all rows that there are: what is not among them is gone."""
        paths = {told.path for told in rows}
        for name in [name for name in self.registered if NODES + name not in paths]:
            del self.registered[name]
        for name in [name for name in self.out if OUT + name not in paths]:
            del self.out[name]
        for told in rows:
            self.take(told, now)

    def _registered(self, name: str, revision: int, data: bytes | None) -> None:
        if data is None:
            self.registered.pop(name, None)
        else:
            self.registered[name] = (revision, _registration(data))

    def _out(self, name: str, revision: int, data: bytes | None, now: float) -> None:
        known = self.out.get(name, (0, now))[0]
        if data is None:
            if revision > known:
                self.out.pop(name, None)
        elif revision > known:
            self.out[name] = (revision, now)


class Wait:
    """One change, and who has not confirmed it."""

    def __init__(self, revision: int, own: str, read: list[Told], followed: Nodes, sent: float, now: float) -> None:
        """Make the list.

        Args:
            revision: of the change.
            own: name of the node that made it.
            read: all rows, as the transaction of the change read them.
            followed: what was known of them here before.
            sent: when that transaction was sent.
            now: when its answer had come.
        """
        self.revision = revision
        self.ends = now + WAIT_S
        self._read_at = max([revision, *(told.revision for told in read)])
        there = Nodes()
        there.replace(read, now)
        asked = {name for name, (_, said) in there.registered.items() if not said.stopped and name != own}
        self.left = {name for name in asked if there.confirmed.get(name, 0) < revision}
        """Nodes that are waited for."""
        self.named = {name for name in self.left if _is_out(name, there, followed, sent)}
        """Nodes that are not waited for: they are known to be stale."""
        self.left -= self.named

    def heard(self, followed: Nodes) -> None:
        """Take off the list who has confirmed, or has stopped since."""
        self.left = {name for name in self.left if not self._is_off(name, followed)}
        self.named = {name for name in self.named if followed.confirmed.get(name, 0) < self.revision}

    def is_over(self, now: float) -> bool:
        """Whether it is known what to answer."""
        return not self.left or now >= self.ends

    @property
    def unconfirmed(self) -> list[str]:
        """Nodes that the answer names."""
        return sorted(self.left | self.named)

    def _is_off(self, name: str, followed: Nodes) -> bool:
        revision, said = followed.registered.get(name, (0, None))
        stopped = said is not None and said.stopped and revision > self._read_at
        return stopped or followed.confirmed.get(name, 0) >= self.revision


def _is_out(name: str, there: Nodes, followed: Nodes, sent: float) -> bool:
    if name not in there.out or name not in followed.out:
        return False
    revision, since = followed.out[name]
    return there.out[name][0] == revision and sent - since >= WAIT_S


def _registration(data: bytes) -> Registration:
    try:
        return msgspec.msgpack.decode(data, type=Registration)
    except msgspec.DecodeError:
        return Registration(b"")  # Nobody's, and not stopped: it is waited for.


def _confirmed(data: bytes) -> int:
    try:
        return msgspec.msgpack.decode(data, type=Confirmation).revision
    except msgspec.DecodeError:
        return 0
