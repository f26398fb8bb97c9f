"""The row in which a node says something of itself, and the rounds in which it looks whether that is there.

Theory. Nobody else writes it, unless another process has this node's name, or somebody put an older one back. So it is
replaced at the revision that was seen, and a row that must not be used at its own. Who was faster is looked at in the
next round. A store that does not take it is named once, until something else is wrong.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, NamedTuple, TypeVar

from hsm_daemon.tasks import spawn
from hsm_node.core.refusal import Refusal
from hsm_node.service.follower import Follower
from hsm_node.service.node_rows import NodeRecord, NodeRows
from hsm_node.store.base import Row, Store, StoreError

INTERVAL_S: Final = 1.0
"""Between two looks at what is there: for as long a node may lack what another one has said."""
DEADLINE_S: Final = 10.0
"""For one transaction; the next look tries again."""

R = TypeVar("R", bound=NodeRecord)


class Place(NamedTuple):
    """Where the next record goes."""

    order: int
    """How often it was written then."""
    revision: int
    """Of the row that it replaces; 0: there is none."""


class OwnRow(Generic[R]):
    """One node's row of one kind."""

    def __init__(
        self,
        node: str,
        name: Callable[[str], bytes],
        rows: NodeRows[R],
        follower: Follower,
        store: Store,
        failed: Callable[[str], None],
    ) -> None:
        """Say nothing yet.

        Args:
            node: this one's name.
            name: makes the store's name of a node's row.
            rows: the kind.
            follower: knows which rows must not be used.
            store: where it is.
            failed: told why a round failed, once for each reason.
        """
        self._node = node
        self._name = name
        self._rows = rows
        self._follower = follower
        self._store = store
        self._failed = failed
        self.busy = False
        """Whether a round is under way."""
        self._fault = ""

    @property
    def name(self) -> bytes:
        """What the store calls it."""
        return self._name(self._node)

    @property
    def held(self) -> R | None:
        """What it says, or said before it was damaged; None: nothing."""
        found = self._rows.held.get(self._node)
        return None if found is None else found.record

    @property
    def refused(self) -> bool:
        """Whether what is there must not be used."""
        return self.name in self._follower.refused

    @property
    def place(self) -> Place:
        """Where the next record goes."""
        found, refused = self._rows.held.get(self._node), self._follower.refused.get(self.name)
        damaged = 0 if refused is None else refused.revision  # replaced at its own revision, as a damaged node state is
        order, revision = (0, 0) if found is None else (found.record.order, found.revision)
        return Place(max(order, damaged) + 1, max(revision, damaged))

    def put(self, sealed: bytes, place: Place) -> Row | None:
        """Store it there, in the store's thread; None where somebody was faster.

        Raises:
            StoreError: it was not stored, or that is open.
        """
        if place.revision:
            return self._store.change(self.name, place.revision, sealed)
        return self._store.create(self.name, sealed)

    def begin(self, look: Coroutine[Any, Any, str], what: str) -> None:
        """Make a round: `look` returns what is wrong (empty: nothing), or raises Refusal or StoreError."""
        self.busy = True
        spawn(self._round(look), what)

    async def _round(self, look: Coroutine[Any, Any, str]) -> None:
        try:
            fault = await look
        except (Refusal, StoreError) as error:
            fault = str(error)
        finally:
            self.busy = False
        if fault and fault != self._fault:
            self._failed(fault)
        self._fault = fault
