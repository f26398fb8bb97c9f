"""Who is waited for after a change, and who is named: from the rows by which nodes tell each other how far they are.

Theory: docs/consistency.md, (a). The rows are followed like all others, so what is known of them here may be old. What
is old does no harm, with one exception: that a node has stopped counts only when everything is known that was there
when the list was made. A change has a row `wanted` of its own revision, which comes last.

Nor does it do harm that somebody deletes a registration, or puts in its place what is not authentic or the word of an
earlier life: the node itself finds that at its next contact and serves no more, and is waited for, and named, until
that must have happened. Only who has loaded these rows after that cannot know.
"""

from typing import Final, NamedTuple

from hsm_node.core.statements import (
    CONFIRMED,
    NODES,
    OUT,
    WANTED,
    Confirmation,
    Registration,
    Seal,
    Statement,
    Told,
    Word,
)

CURRENT_S: Final = 1.0
"""Since the begin of the last contact that counts: so long a node is current."""
WAIT_S: Final = 3 * CURRENT_S
"""For the nodes of a list: three times what a node is current for without a contact, so clocks may differ threefold."""


class Known(NamedTuple):
    """What is known of one node."""

    revision: int
    """Of its registration; of one that is gone: of the row that was there, or of what came in its place."""
    boot_id: bytes
    """Of its newest life, as all below."""
    life: int
    stopped: bool | None
    """Whether it has said that it serves nothing any more; None: its registration is gone, or not its own."""
    since: float
    """When that was first seen here."""
    confirmed: int
    """The highest revision that it has confirmed."""
    vouched: int = 0
    """The highest that it has confirmed while it was warm."""

    def is_off(self, now: float) -> bool:
        """Whether it serves nothing, or only as stale: a node looks at its registration with each contact."""
        return now - self.since >= WAIT_S if self.stopped is None else self.stopped


class Nodes:
    """What the rows say, as far as they are known here."""

    def __init__(self, seal: Seal) -> None:
        """Know of nobody."""
        self._seal = seal
        self.known: dict[str, Known] = {}
        """Nodes that have registered since the rows were first read, or before and are still there."""
        self.out: dict[str, tuple[int, float]] = {}
        """Node -> revision of its row, and when that was first seen here."""
        self.wanted = 0
        """Revision of the newest change that somebody waits for."""
        self.refused = 0
        """Rows that were not authentic, or of an earlier life of their node."""
        self.refused_path = ""
        """Of the last one."""

    def copy(self) -> "Nodes":
        """Return what is known, to be added to apart."""
        other = Nodes(self._seal)
        other.known, other.out, other.wanted = dict(self.known), dict(self.out), self.wanted
        return other

    def take(self, told: Told, now: float) -> None:
        """Take a row; an older one than is known changes nothing."""
        path = told.path
        if path == WANTED:
            if self._opened(told, Word) is not None:
                self.wanted = max(self.wanted, told.revision)
        elif path.startswith(NODES):
            self._registration(path[len(NODES) :], told, now)
        elif path.startswith(CONFIRMED):
            self._confirmation(path[len(CONFIRMED) :], told)
        elif path.startswith(OUT):
            self._mark(path[len(OUT) :], told, now)
        else:
            self._refuse(path)

    def replace(self, rows: list[Told], now: float) -> None:
        """Take all rows that there are: what is not among them is gone."""
        paths = {told.path for told in rows}
        for name, known in list(self.known.items()):
            if NODES + name not in paths:
                self._gone(name, known.revision, now)
        for name in [name for name in self.out if OUT + name not in paths]:
            del self.out[name]
        for told in sorted(rows, key=_registrations_first):
            self.take(told, now)

    def vouched(self, own: str, revision: int) -> bool:
        """Whether another node has confirmed that revision or a later one, and was warm."""
        return any(known.vouched >= revision for name, known in self.known.items() if name != own)

    def has(self, name: str, revision: int) -> bool:
        """Whether a node has confirmed that revision or a later one."""
        return name in self.known and self.known[name].confirmed >= revision

    @property
    def registered(self) -> list[str]:
        """Nodes whose registration is there."""
        return sorted(name for name, known in self.known.items() if known.stopped is not None)

    @property
    def missing(self) -> list[str]:
        """Nodes that are out: changes name them until they are back or removed."""
        return [name for name in self.registered if name in self.out]

    def registered_at(self, name: str) -> int:
        """Return the revision of a node's registration; 0: there is none."""
        known = self.known.get(name)
        return 0 if known is None or known.stopped is None else known.revision

    def _registration(self, name: str, told: Told, now: float) -> None:
        known = self.known.get(name)
        if known is not None and told.revision <= known.revision:
            return
        said = self._opened(told, Registration)
        if known is None:
            if said is not None:
                self.known[name] = Known(told.revision, said.boot_id, said.life, said.stopped, now, 0)
        elif said is None:
            self._gone(name, told.revision, now)
        elif (said.life, said.boot_id) == (known.life, known.boot_id):
            self.known[name] = known._replace(revision=told.revision, stopped=said.stopped, since=now)
        elif said.life > known.life:
            self.known[name] = Known(told.revision, said.boot_id, said.life, said.stopped, now, 0)
        else:
            self._refuse(told.path)
            self._gone(name, told.revision, now)

    def _gone(self, name: str, revision: int, now: float) -> None:
        known = self.known[name]
        since = known.since if known.stopped is None else now
        self.known[name] = known._replace(revision=revision, stopped=None, since=since)

    def _confirmation(self, name: str, told: Told) -> None:
        said, known = self._opened(told, Confirmation), self.known.get(name)
        # An earlier life's is there until the newest one has confirmed something.
        if said is not None and known is not None and said.boot_id == known.boot_id:
            vouched = max(known.vouched, said.revision if said.warm else 0)
            self.known[name] = known._replace(confirmed=max(known.confirmed, said.revision), vouched=vouched)

    def _mark(self, name: str, told: Told, now: float) -> None:
        known = self.out.get(name, (0, now))[0]
        if told.revision > known:
            self.out.pop(name, None)
            if self._opened(told, Word) is not None:
                self.out[name] = (told.revision, now)

    def _opened(self, told: Told, form: type[Statement]) -> Statement | None:
        """Return what a row says; None: it was deleted, or is not authentic."""
        if told.data is None:
            return None
        said = self._seal.open(told.path, told.data, form)
        if said is None:
            self._refuse(told.path)
        return said

    def _refuse(self, path: str) -> None:
        self.refused += 1
        self.refused_path = path


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
        there = followed.copy()
        there.replace(read, now)
        self.left = {name for name in there.known if name != own and not there.has(name, revision)}
        """Nodes that are waited for. That one has stopped is believed when what comes by the watch says so."""
        stale = {name for name, (_, since) in there.out.items() if sent - since >= WAIT_S}
        self.named = {name for name in self.left & stale if not there.known[name].is_off(now)}
        """Nodes that are not waited for: they are known to be stale."""
        self.left -= self.named

    def heard(self, followed: Nodes, now: float) -> None:
        """Take off the list who has confirmed, or serves no more."""
        self.left = {name for name in self.left if not followed.has(name, self.revision)}
        self.named = {name for name in self.named if not followed.has(name, self.revision)}
        if followed.wanted >= self._read_at:  # What is known is as new as the list.
            self.left = {name for name in self.left if name in followed.known and not followed.known[name].is_off(now)}

    def is_over(self, now: float) -> bool:
        """Whether it is known what to answer."""
        return not self.left or now >= self.ends

    @property
    def unconfirmed(self) -> list[str]:
        """Nodes that the answer names."""
        return sorted(self.left | self.named)


def _registrations_first(told: Told) -> bool:
    """Sort key: whose confirmation it is, says the registration."""
    return not told.path.startswith(NODES)
