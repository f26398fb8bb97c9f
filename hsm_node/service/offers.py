"""What the cluster can do, as this node knows it from what all nodes say; and saying what this one has proved."""

from collections.abc import Callable, Collection
from typing import Final

from hsm_daemon import clock, logs
from hsm_node.backends.base import Backend
from hsm_node.backends.software import IMPLEMENTED
from hsm_node.core.key_table import KeyTable
from hsm_node.core.keyring import Keyring
from hsm_node.core.offers import Offer, OffersRecord, common, lacking, offer_of, seal_offers
from hsm_node.service.follower import Follower
from hsm_node.service.offer_rows import OfferRows
from hsm_node.service.own_row import DEADLINE_S, INTERVAL_S, OwnRow, Place
from hsm_node.store.base import Row, Store
from hsm_node.work.pool import Pool
from hsm_wire.key_types import KEY_TYPES

ALL: Final = Offer({number: int(usages) for number, usages in IMPLEMENTED.items()}, frozenset(KEY_TYPES))
"""What a node can do that has said nothing: all that this version has."""

_log = logs.logger("hsm_node.offers")


class Offers:
    """`sweep` on the loop."""

    def __init__(
        self,
        node: str,
        nodes: Callable[[], Collection[str]],
        backend: Backend,
        table: KeyTable,
        rows: OfferRows,
        follower: Follower,
        keyring: Keyring,
        store: Store,
        writer: Pool,
    ) -> None:
        mechanisms = {number: int(usages) for number, usages in backend.offered.items()}
        self.own = Offer(mechanisms, backend.key_types)
        """What this node has proved."""
        self.node = node
        self._nodes = nodes
        self._table = table
        self._rows = rows
        self._follower = follower
        self._keyring = keyring
        self._store = store
        self._writer = writer
        self._row = OwnRow(node, keyring.offers_name, rows, follower, store, _not_taken)
        self._next_look_s = 0.0
        self._told = ""

    @property
    def common(self) -> Offer:
        """What the cluster can do."""
        return common([self._of(node) for node in {self.node, *self._nodes()}], self._table.types)

    @property
    def key_types(self) -> frozenset[str]:
        """Types of keys that may be made here: every node can use them, but for one that lacks what is stored."""
        return self.own.key_types & self.common.key_types

    @property
    def lacks(self) -> str:
        """Which stored keys this node cannot use, in words; empty: there are none."""
        return lacking(self.own, self._table.types)

    def sweep(self) -> None:
        """Say in the store what this node can do, where that is not there; and in the log what it cannot."""
        now = clock.monotonic()
        if self._row.busy or now < self._next_look_s:
            return
        self._next_look_s = now + INTERVAL_S
        lacks = self.lacks
        if lacks != self._told and lacks:
            what = "it serves only while no node can that has them all; see docs/backends.md"
            logs.event(_log, "error", "stored keys cannot be used here", reason=lacks, what=what)
        self._told = lacks
        if self._follower.current and self._to_say() is not None:
            self._row.begin(self._say(), "what this node can do")

    async def _say(self) -> str:
        stored = await self._writer.run(clock.monotonic() + DEADLINE_S, self._written)
        if stored is not None:
            self._follower.take_any(stored)
        return ""

    def _of(self, node: str) -> Offer:
        if node == self.node:
            return self.own
        entry = self._rows.held.get(node)
        return ALL if entry is None else offer_of(entry.record)

    def _to_say(self) -> tuple[OffersRecord, Place] | None:
        """Return what this node has to say, and where; None where it has been said."""
        held, place = self._row.held, self._row.place
        if not self._row.refused and self.own == (ALL if held is None else offer_of(held)):
            return None
        mechanisms, key_types = sorted(self.own.mechanisms.items()), sorted(self.own.key_types)
        after = OffersRecord(
            self._store.cluster_id, self.node, place.order, self._store.epoch, tuple(mechanisms), tuple(key_types)
        )
        return after, place

    def _written(self) -> Row | None:
        """In the store's thread: a device may have to make the row's MAC. None where somebody was faster."""
        said = self._to_say()
        if said is None:
            return None
        record, place = said
        return self._row.put(seal_offers(record, self._keyring), place)


def _not_taken(reason: str) -> None:
    logs.event(_log, "warning", "the store did not take what this node can do", reason=reason)
