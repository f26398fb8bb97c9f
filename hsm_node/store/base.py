"""What the service asks of a store: sealed records under names that mean nothing.

The rules of design.md section 6 that a driver keeps: a create happens only where the name is absent, a change
only at the revision that it names, nothing is ever deleted, and revisions only grow. `changed` and `rows_after`
are called on the event loop before requests are served; `create`, `change`, `read` and `catch_up` may wait for a disk
or for other hosts, and are called in `writers` threads.

A node follows the store wherever it is reached. That says nothing of the copy in its own place, from which the store
would begin again where every other place is lost: an `OwnCopy` is read by itself, whatever the node has in memory.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from enum import Enum
from typing import Final, NamedTuple, Protocol

import msgspec

from hsm_cluster.address import Address
from hsm_node.core.keyring import Keyring

PAGE_ROWS: Final = 200
"""Of a copy at once: 120 KB, which a thread opens in a few milliseconds."""


class Row(msgspec.Struct, frozen=True):
    """One sealed record, and the revision of its last change."""

    name: bytes
    revision: int
    data: bytes


class Removal(Enum):
    """What came of having a node forgotten."""

    REMOVED = "removed"
    ABSENT = "absent"
    """Nobody of that name is registered."""
    ALIVE = "alive"
    """It has just confirmed, or registered anew: nothing was changed."""


class StoreError(Exception):
    """The store did not answer; whether a change happened is open. The text is for the log."""


class UnreachableStoreError(StoreError):
    """The store did not take it, and nothing has changed."""


class HaltedStoreError(UnreachableStoreError):
    """The store takes no changes from anybody until an operator has acted (it is full, or its members' data differ);
    reads go on."""


class ReplacedStoreError(StoreError):
    """What answers is not the store that was followed: another file, or an older state of it."""


class Snapshot(Protocol):
    """All rows of a store as of one revision, while others go on writing. Used by one thread at a time."""

    @property
    def revision(self) -> int:
        """As of which they are."""

    def read(self) -> list[Row]:
        """Return the next rows, in the order of names; none where all were returned.

        Raises:
            StoreError: they cannot be read any more: begin a new one.
        """

    def close(self) -> None:
        """Let go of it: a store may have to keep old states until then."""


class Side(NamedTuple):
    """One of the stores that a promotion has made two of, as one of its members has it."""

    place: str
    """Where."""
    epoch: int
    snapshot: Snapshot
    """Of what is there: nothing of it was authenticated."""


class Lag(NamedTuple):
    """Who has not got what was committed, a while after it was."""

    nodes: Mapping[str, int]
    """Other nodes that follow the store -> changes that each has not confirmed, warm."""
    members: Mapping[str, str]
    """Addresses of members that are not as they should be -> what is wrong."""


class Page(msgspec.Struct, frozen=True):
    """Some rows of a copy, in the order of names."""

    rows: list[Row]
    revision: int
    """Of the state that they are of."""
    more: bool
    """Whether there are others behind them."""


class OwnCopy(Protocol):
    """The store as this place alone has it. Every method waits, and is called in a thread."""

    def newest(self) -> int:
        """Return a revision at or above that of all that was committed before this call, anywhere.

        Raises:
            StoreError: the rest of the store does not answer.
        """

    def revision(self) -> int:
        """Return how far this copy has come.

        Raises:
            StoreError: it cannot be read.
        """

    def page(self, after: bytes, revision: int) -> Page:
        """Return the rows behind that name (empty: the first ones), as of that revision (0: now).

        Where that state is not kept any more, they are as of now; a row that was there then is in one of both.

        Raises:
            StoreError: they cannot be read.
        """

    def master_key_version(self, keyring: Keyring) -> int:
        """Return the version of the master key that this copy is under; 0 where the keyring does not hold it.

        Raises:
            StoreError: it cannot be read, or is another store's.
        """


class Store(Protocol):
    """One node's hold on the store."""

    @property
    def writers(self) -> int:
        """How many changes are worth being under way at once: threads that call `create`, `change` and `read`."""

    @property
    def serves_stale(self) -> bool:
        """Whether keys may be used with what is here while there is no contact (and the answers say so)."""

    @property
    def contact(self) -> float | None:
        """Moment, by `clock.boottime`, before which nothing was committed that the caller of `rows_after` has not got.

        None: there was no contact yet. How old it is, is how stale the node is.
        """

    @property
    def fenced(self) -> bool:
        """Whether another process has this node's name, or the node was removed: it serves and changes nothing."""

    @property
    def outlived(self) -> bool:
        """Whether it is fenced for an epoch alone: a higher one than its store's was seen. It is not any more when that
        store has been given one above."""

    @property
    def members(self) -> Mapping[str, str]:
        """Address of each member of a distributed store -> what is wrong with it, as this node sees it; empty: nothing.

        A store that has no members has none here.
        """

    @property
    def registered(self) -> Collection[str]:
        """Nodes that the store knows of: changes wait for those that have not said that they stopped."""

    @property
    def out(self) -> Collection[str]:
        """Of these, nodes that a change has waited for in vain, and that had no contact since: answers name them."""

    @property
    def refused_statements(self) -> int:
        """Rows in which nodes tell each other how far they are, and which no node has written: somebody forges them."""

    @property
    def cluster_id(self) -> bytes:
        """16 bytes, made with the store."""

    @property
    def epoch(self) -> int:
        """Counts promotions of the DR site. It may rise while the store is followed."""

    @property
    def promoted(self) -> bool:
        """Whether the nodes of the DR site serve."""

    def vouch(self) -> None:
        """Take an operator's word that the DR site was not promoted while this node was away."""

    def promote(self, keyring: Keyring, gone: Collection[str], epoch: int = 0) -> None:
        """Raise the epoch, and have the nodes of the DR site serve; nothing where they do already, in that epoch.

        Args:
            keyring: of this node.
            gone: nodes that are known to be off: nobody waits for them any more.
            epoch: the least that the store has then. Above all that was seen, it is for a node that is `outlived` too.
        """

    def has_dr_member(self) -> bool:
        """Whether the member at the DR site is one of this store, whose majority answers.

        Raises:
            StoreError: one of both does not answer.
        """

    @property
    def seen_epoch(self) -> int:
        """The highest that anybody has shown: above `epoch` where a promotion has left this store behind."""

    def demote(self, keyring: Keyring) -> None:
        """Have the nodes of the DR site stand by again, in the same epoch; nothing where they do.

        Raises:
            StoreError: whether they do is open.
        """

    def lag(self) -> Lag:
        """Return who lacks what was committed before this call; who does is waited for, as long as for a change.

        Raises:
            StoreError: the store did not answer.
        """

    def left_behind(self) -> Side | None:
        """Return the store that a promotion has left behind; None: nobody who has it answers.

        Raises:
            StoreError: nobody can say whether it is one.
        """

    def both_sides(self) -> tuple[Side, Side] | None:
        """Return this store, which a promotion has left behind, and the one that went on; None: not both answer.

        Raises:
            StoreError: nobody can say whether they are.
        """

    @property
    def copy(self) -> OwnCopy:
        """What is left here when every other place is lost."""

    def tell(self, arrived: Callable[[], object]) -> None:
        """Have that called, from any thread, whenever `changed` has become true of itself.

        A store whose `changed` looks for itself never calls it.
        """

    def changed(self) -> bool:
        """Whether another connection has committed since the last call; true at the first one.

        Raises:
            ReplacedStoreError: another store stands in its place.
        """

    def rows_after(self, revision: int) -> list[Row]:
        """Return what is newer than the last row that was returned (0: there was none), in the order of revisions. A
        row that is out of order, or was deleted, has empty data: nobody takes that for authentic.

        Raises:
            ReplacedStoreError: the store has not come as far as that revision.
        """

    def applied(self) -> None:
        """Note that all that `rows_after` has returned is in use: other nodes may rely on it."""

    def catch_up(self) -> None:
        """Have `rows_after` bring whatever was committed before this call: what is not there then, is nowhere.

        Raises:
            StoreError: the store did not answer; nothing is known.
        """

    def read(self, name: bytes) -> Row | None:
        """Return the newest committed row of that name, whichever node wrote it."""

    def snapshot(self) -> Snapshot:
        """Return all rows as of now.

        Raises:
            StoreError: the store did not answer.
        """

    def create(self, name: bytes, data: bytes) -> Row:
        """Store a record if the name is absent; return the row that is there now, the old one if there was one."""

    def change(self, name: bytes, revision: int, data: bytes, *, waits: bool = False) -> Row | None:
        """Replace a record that is still at that revision; `waits`: the nodes that may not have it will be asked for.

        None where it is not: by then `rows_after` has what is there instead.
        """

    def master_key_version(self, keyring: Keyring) -> int:
        """Return the version of the master key that the store is under; 0 where the keyring does not hold it."""

    def reseal(self, keyring: Keyring, version: int, unchanged: Mapping[bytes, int]) -> bool:
        """Put the store under that master key, unless it is already.

        False, and nothing is changed, where one of these rows is not at that revision any more (name -> revision).
        """

    def unconfirmed(self, revision: int) -> "Future[list[str]]":
        """Return what will be the nodes that may serve a state older than `revision` (section 6, rule 3).

        Others are waited for until then, by nobody's thread. A revision that no `change` has made here costs a question
        to the store.

        Raises:
            StoreError: it did not answer; who has the change is open.
        """

    def copied(self, revision: int) -> "Future[bool]":
        """Return what will be whether the store's member at the DR site has `revision`, which was written.

        It is waited for until then, by nobody's thread, and for a time that has a limit.

        Raises:
            StoreError: there is no such member, or the store is closed.
        """

    def remove(self, node: str) -> Removal:
        """Forget that a node has registered, unless it is alive: no change waits for it or names it any more.

        Waits for its confirmation as a change does.

        Raises:
            StoreError: the store did not answer; whether it was forgotten is open.
        """

    def renew(self, endpoints: Sequence[Address] = ()) -> None:
        """Read the files of its certificate anew, and show that from now on; nothing that is under way is lost.

        Args:
            endpoints: members of a distributed store from now on; empty: the same as before.

        Raises:
            StartError: a file cannot be read; the old ones stay in use.
        """

    def stopped(self) -> None:
        """Say that this node serves nothing any more, so that no change waits for it.

        Raises:
            StoreError: the store did not take it.
        """

    def close(self) -> None:
        """Let go of the store."""
