"""Watches all nodes. The shell tells it what connections do and what time it is; it decides what they mean."""

from typing import Final

from hsm_wire.frames import Frame
from hsm_wire.messages import Pong
from proxy.core.checks.agreement import Agreement
from proxy.core.checks.deep_check import Notary
from proxy.core.checks.epochs import Epochs
from proxy.core.checks.node_watch import Hands, NodeWatch
from proxy.core.checks.outliers import SAMPLE_S, weigh
from proxy.core.checks.silence import forgive
from proxy.core.nodes.node_table import Node, PathEntry
from proxy.core.parties import Link, Probe
from proxy.core.principals import Bound
from proxy.core.requests.balancer import Chance
from proxy.core.requests.dispatcher import Dispatcher
from proxy.core.settings import Settings

STALL_S: Final = 0.25
"""Ten beats of the proxy's own clock missed: it stood still, and what nodes did meanwhile is not known yet."""


class Supervisor:
    """The checks of all nodes."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        settings: Settings,
        chance: Chance,
        hands: Hands,
        notary: Notary,
        who: Bound,
        now: float,
    ) -> None:
        self._dispatcher = dispatcher
        self._table = dispatcher.table
        self._settings = settings
        self._chance = chance
        self._hands = hands
        self._notary = notary
        self._who = who
        self._ticked_at = now
        self._weighed_at = now
        self._agreement = Agreement(settings, dispatcher.notices)
        self.epochs = Epochs(dispatcher.notices)
        self.stalls = 0
        """Times that the proxy itself stood still."""
        self._watches = {node: self._watch(node, now) for node in self._table.nodes}
        dispatcher.on_probe = self._probed

    def tick(self, now: float) -> None:
        """Do what all checks ask for now."""
        self._wake(now)
        hurry = not self._table.rotation
        for watch in list(self._watches.values()):
            watch.tick(now, hurry=hurry)
        if now - self._weighed_at >= SAMPLE_S:
            self._weighed_at = now
            weigh(
                [(watch.node, watch.outlier) for watch in self._watches.values()],
                self._settings,
                self._dispatcher.notices,
            )
            self._table.warm(now)

    def opened(self, link: Link, now: float) -> None:
        """Take a greeted connection."""
        watch = self._watches.get(link.node)
        if watch is None:
            link.close("the node was taken out of the configuration")
        else:
            watch.opened(link, now)

    def not_opened(self, path: PathEntry, reason: str, now: float, *, bulk: bool) -> None:
        """Note that no connection was to be had."""
        watch = self._watches.get(path.node)
        if watch is not None:
            watch.not_opened(path, reason, now, bulk=bulk)

    def pong(self, link: Link, ping_id: int, pong: Pong, now: float) -> None:
        """Take an answer to PING. After a stall what lies in the sockets may come before the clock's beat."""
        self._wake(now)
        watch = self._watches.get(link.node)
        if watch is not None and self._is_of_its_epoch(watch, link, pong, now):
            # First what it has seen: a node with an old store is not to serve until that is known.
            for node in self._agreement.report(link.node, pong, watch.asked_at(link, ping_id), now):
                self._table.judge(node, now)
            if watch.pong(link, ping_id, pong, now):
                self._dispatcher.stale.heard(link.node, now)
        if self._dispatcher.waiting:
            self._dispatcher.pump(now)

    def hint(self, name: str, now: float) -> None:
        """Have a node asked at once: another worker of this proxy has seen its state change."""
        for node, watch in self._watches.items():
            if node.name == name:
                watch.hinted(now)

    def going_away(self, link: Link, now: float, reason: str = "the node is shutting down") -> None:
        """Note that a node takes nothing new on this connection."""
        watch = self._watches.get(link.node)
        if watch is not None:
            watch.going_away(link, reason, now)

    def link_lost(self, link: Link, reason: str, now: float) -> None:
        """Note that a connection ended. After a stall this, too, may be read before the clock's beat."""
        self._wake(now)
        watch = self._watches.get(link.node)
        if watch is not None:
            watch.link_lost(link, reason, now)

    def reconfigured(self, removed: list[Node], now: float) -> None:
        """Watch the nodes that the table has now; let go of those that it has no more."""
        for node in removed:
            watch = self._watches.pop(node)
            self._agreement.forget(node)
            self.epochs.forget(node)
            watch.drop("the node was taken out of the configuration", now)
        for node in self._table.nodes:
            if node not in self._watches:
                self._watches[node] = self._watch(node, now)

    def _is_of_its_epoch(self, watch: NodeWatch, link: Link, pong: Pong, now: float) -> bool:
        """Take the epoch of a PONG; False where the link is of an earlier one than its node, and was dropped."""
        before, link.epoch = link.epoch, pong.epoch
        for node in self.epochs.take(link.node, pong):
            if node.fenced:
                self._watches[node].drop(node.fenced, now, owing=True)
            self._table.judge(node, now)
        if before in (None, pong.epoch):
            return True
        watch.drop("its epoch has changed, and the connection is of before", now)
        return False

    def _wake(self, now: float) -> None:
        """Note that the proxy runs; if it stood still until now, hold nothing of that time against anybody."""
        if now - self._ticked_at > STALL_S:
            self.stalls += 1
            forgive(self._table.links, now)
            self._dispatcher.forgive(now)
            for watch in self._watches.values():
                watch.forgive(now)
        self._ticked_at = now

    def _watch(self, node: Node, now: float) -> NodeWatch:
        return NodeWatch(
            node, self._dispatcher, self._settings, self._chance, self._hands, self._notary, self._who, now
        )

    def _probed(self, probe: Probe, link: Link, frame: Frame, now: float) -> None:
        watch = self._watches.get(link.node)
        if watch is not None:
            watch.probed(probe, frame, now)
