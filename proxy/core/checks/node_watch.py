"""All checks of one node together, and what follows from them.

paths      `path_health`: connect, PING, rise and fall       links     `silence`: no byte from a link that owes some
progress   `progress`: alive but blocked                     deep      `deep_check`: a signature that is verified
passive    `outliers`: what requests tell                    out       `sanction`: how long, and the probe at its end
"""

from math import inf
from typing import Protocol

from hsm_wire.frames import Frame
from hsm_wire.messages import Pong
from proxy.core.checks.deep_check import DeepCheck, Notary, Verdict
from proxy.core.checks.outliers import SAMPLE_S, Outlier
from proxy.core.checks.path_health import PathHealth, Step
from proxy.core.checks.progress import Progress, oldest_ordinary, oldest_short
from proxy.core.checks.sanction import Sanction
from proxy.core.checks.silence import silent, suspect
from proxy.core.nodes.node_table import BLOCKED, EJECTED, LACKING, MAINTAIN, PROBING, STALE, UP, Node, PathEntry
from proxy.core.parties import Link, Probe
from proxy.core.principals import Bound
from proxy.core.requests.balancer import Chance
from proxy.core.requests.dispatcher import Dispatcher
from proxy.core.requests.failover import ACKNOWLEDGED_WITHIN_S, WRONG_SIGNATURE
from proxy.core.settings import Settings


class Hands(Protocol):
    """What the shell does for the core."""

    def connect(self, path: PathEntry, *, bulk: bool) -> None:
        """Open a connection; its end is told by `Supervisor.opened` or `Supervisor.not_opened`."""


class _PathWatch:
    """One path: its check, and when its bulk link is tried."""

    __slots__ = ("bulk_at", "bulk_new", "bulk_opening", "bulk_until", "health", "path", "round_trip_s")

    def __init__(self, path: PathEntry, health: PathHealth) -> None:
        self.path = path
        self.health = health
        self.bulk_opening = False
        self.bulk_at = 0.0
        self.bulk_new: Link | None = None
        """A bulk link over which no PONG came yet: nothing is sent over it before."""
        self.bulk_until = 0.0
        """It is dropped then."""
        self.round_trip_s = inf
        """Fastest PING since the node started."""


class NodeWatch:
    """The checks of one node."""

    def __init__(
        self,
        node: Node,
        dispatcher: Dispatcher,
        settings: Settings,
        chance: Chance,
        hands: Hands,
        notary: Notary,
        who: Bound,
        now: float,
    ) -> None:
        self.node = node
        self.outlier = Outlier(node, settings)
        self.paths = {path: _PathWatch(path, PathHealth(settings, chance, node.pings, now)) for path in node.paths}
        self._dispatcher = dispatcher
        self._table = dispatcher.table
        self._settings = settings
        self._chance = chance
        self._hands = hands
        self._deep = DeepCheck(notary, who, now)
        self._progress = Progress()
        self._sanction = Sanction(settings, chance)
        self._look_at = now
        self._ping_at = now
        self._hurry_at = now
        self._hinted_at = -inf

    # ---- from the clock -------------------------------------------------------------------------------------------

    def tick(self, now: float, *, hurry: bool) -> None:
        """Do what the checks ask for now; `hurry` while no node is in rotation."""
        for watch in self.paths.values():
            self._check_path(watch, now, hurry=self._table.hurries)
        for link, reason in silent(self.node, self._settings, now):
            self.lose(link, reason, now)
        self._ask_for_progress(now)
        self._check_deep(now, hurry=hurry)
        if now >= self._look_at:
            self._look_at = now + SAMPLE_S
            used = self.node.link
            self.outlier.round_trip_s = inf if used is None else self.paths[used.path].round_trip_s
            self.outlier.look(now)
        if not self.node.sanction and self.node.operational == UP:
            reason = self.outlier.verdict()
            if reason:
                self._take_out(EJECTED, reason, "errors", now)

    def forgive(self, now: float) -> None:
        """The proxy itself stood still: nothing that is missing was missed."""
        self._deep.forgive(now)
        self._progress.forgive()
        for watch in self.paths.values():
            watch.health.forgive(now)

    def hinted(self, now: float) -> None:
        """Ask the node itself at once: another worker of this proxy has seen its state change. A hint convicts nobody,
        and however many come, it is asked as often as while its state may change anyway."""
        if now - self._hinted_at < self._settings.health.fast_interval_s:
            return
        self._hinted_at = now
        suspect(self.node, now)
        for watch in self.paths.values():
            watch.health.hasten(now)
        if not self.node.sanction:
            self._deep.next_at = min(self._deep.next_at, now)

    # ---- from links -----------------------------------------------------------------------------------------------

    def opened(self, link: Link, now: float) -> None:
        """Take a greeted connection; the one for small requests is checked before it is used."""
        watch = self.paths[link.path]
        link.heard = now
        if link.bulk:
            if watch.bulk_new is not None or link.path.bulk is not None:
                link.close("another attempt was faster")
                return
            watch.bulk_new, watch.bulk_until = link, now + self._settings.health.timeout_s
            link.sink(self.node.pings.next())
        elif link.path.link is not None:
            link.close("another attempt was faster")
        else:
            link.path.link = link
            watch.health.opened(now)
            self._check_path(watch, now, hurry=False)

    def not_opened(self, path: PathEntry, reason: str, now: float, *, bulk: bool) -> None:
        """Note that no connection was to be had."""
        watch = self.paths[path]
        if bulk:
            watch.bulk_opening = False
            watch.bulk_at = now + self._settings.health.down_interval_s
        elif path.link is None:  # Else another attempt was faster.
            watch.health.lost(now)
            self._table.path_down(path, reason, now)

    def asked_at(self, link: Link, ping_id: int) -> float | None:
        """Return when the PING was sent that this id answers; None where that is not known."""
        if link.path.link is not link:
            return None
        health = self.paths[link.path].health
        return health.ping_sent_at if ping_id == health.ping_id else None

    def pong(self, link: Link, ping_id: int, pong: Pong, now: float) -> bool:
        """Take a node's answer to PING: it is there, and what it says of itself. Whether that is news."""
        node = self.node
        is_news = node.pings.is_news(ping_id)
        if is_news:
            if pong.boot_id != node.boot_id:
                self._restarted(now)
            self._table.report(link, pong, now)
        if link is self.paths[link.path].bulk_new:
            self._use_bulk(link, now)
        if link.bulk or link.path.link is not link:
            return is_news
        asked_at, watch = self.asked_at(link, ping_id), self.paths[link.path]
        if asked_at is not None:
            watch.round_trip_s = min(watch.round_trip_s, now - asked_at)
        if watch.health.answered(ping_id, now, hurry=self._table.hurries) and not link.leaving:
            self._table.path_up(link, now)
        if is_news and node.lacks_store(self._settings):
            self._progress.forgive()
        elif is_news and self._progress.stands_still(pong.completed, oldest_ordinary(node), self._settings, now):
            self._take_out(BLOCKED, "it answers PING and finishes nothing", "blocked", now)
        return is_news

    def probed(self, probe: Probe, frame: Frame, now: float) -> None:
        """Take the answer to a deep check."""
        self._judge(self._deep.answered(probe, frame), now)

    def going_away(self, link: Link, reason: str, now: float) -> None:
        """Send nothing new over a path whose node said GOAWAY.

        It answers what it has; or it stood still, ends at once, and what it had moves without being suspected of it.
        """
        link.leaving = True
        self._table.path_down(link.path, reason, now)

    def lose(self, link: Link, reason: str, now: float) -> None:
        """Drop a link, once it was asked what still arrived over it.

        What it was given up for, a PING or a check, is that old that a machine which is there has acknowledged it.
        """
        asked_at = link.probed_at or now - self._settings.health.timeout_s
        acknowledged_at = now - link.unacknowledged_s()
        link.arrived_until = acknowledged_at if acknowledged_at < asked_at - ACKNOWLEDGED_WITHIN_S else now
        link.close(reason)
        self.link_lost(link, reason, now)

    def link_lost(self, link: Link, reason: str, now: float) -> None:
        """Note that a link is gone; what it owed moves. A second call for the same link does nothing."""
        path = link.path
        watch = self.paths[path]
        self._deep.link_lost(link)
        if path.bulk is link:
            path.drop(link)
            watch.bulk_at = now + self._settings.health.fast_interval_s
            self._table.judge(self.node, now)
        elif path.link is link:
            path.drop(link)
            watch.health.lost(now)
            self._table.path_down(path, reason, now)
            if path.bulk is not None:
                path.bulk.leaving = path.bulk.leaving or link.leaving
                self.lose(path.bulk, reason, now)
        elif watch.bulk_new is link:
            watch.bulk_new, watch.bulk_opening = None, False
            watch.bulk_at = now + self._settings.health.fast_interval_s
            return
        else:
            return
        node_lost = not any(path.up for path in self.node.paths)
        self._dispatcher.link_lost(link, node_lost=node_lost, abnormal=not link.leaving, now=now)

    def drop(self, reason: str, now: float, *, owing: bool = False) -> None:
        """Drop all links, of which nobody is suspected; `owing`: only those that owe something."""
        for watch in self.paths.values():
            for link in (watch.bulk_new, watch.path.bulk, watch.path.link):
                if link is not None and (link.in_flight or not owing):
                    link.leaving = True  # Its requests move.
                    self.lose(link, reason, now)

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _use_bulk(self, link: Link, now: float) -> None:
        watch = self.paths[link.path]
        watch.bulk_new, watch.bulk_opening = None, False
        if not link.path.up:
            link.close("its path went down meanwhile")
            return
        link.path.bulk = link
        self._table.judge(self.node, now)

    def _check_path(self, watch: _PathWatch, now: float, *, hurry: bool) -> None:
        path = watch.path
        step = watch.health.step(now, hurry=hurry)
        if step is Step.CONNECT:
            self._hands.connect(path, bulk=False)
        elif path.link is not None and step is Step.PING:
            path.link.sink(watch.health.ping)
        elif path.link is not None and step is Step.LOST:
            self.lose(path.link, "it does not answer its check", now)
        if watch.bulk_new is not None and now >= watch.bulk_until:
            self.lose(watch.bulk_new, "it does not answer its check", now)
        if path.up and path.bulk is None and not watch.bulk_opening and now >= watch.bulk_at:
            watch.bulk_opening = True
            self._hands.connect(path, bulk=True)

    def _ask_for_progress(self, now: float) -> None:
        """While a request takes long, PING more often: what completes in between is what tells."""
        link = self.node.link
        if link is None or now < self._ping_at:
            return
        self._ping_at = now + self._settings.health.fast_interval_s
        oldest = oldest_ordinary(self.node)
        if oldest is not None and now - oldest >= self._settings.health.fast_interval_s:
            link.sink(self.node.pings.next())

    def _check_deep(self, now: float, *, hurry: bool) -> None:
        deep, node, health = self._deep, self.node, self._settings.health
        if deep.running:
            self._judge(deep.overdue(self._settings, now), now)
            return
        link = node.link
        if link is None or link.leaving or node.administrative == MAINTAIN:
            return  # somebody may be working on it: PINGs are all that it gets, its probe waits until it is ready
        if node.fenced or node.reported not in (UP, LACKING, STALE):
            return  # sealed or standing by: a probe that fails now would only keep it out for longer afterwards
        if node.sanction in (EJECTED, BLOCKED):
            if now >= (self._hurry_at if hurry else self._sanction.until):
                self._hurry_at = now + health.fast_interval_s
                self._table.impose(node, PROBING, f"probed after: {node.reason}", now)
                deep.ask(node, link, self._settings, now)
            return
        if node.sanction == PROBING:  # the question was lost with its link
            deep.ask(node, link, self._settings, now)
        elif self._may_check and now >= self._deep_due(now):
            deep.next_at = now + health.deep_interval_s * (1.0 - health.jitter * self._chance.random())
            deep.ask(node, link, self._settings, now)

    @property
    def _may_check(self) -> bool:
        """Whether deep checks are on, and mean something."""
        return self._settings.health.deep_interval_s > 0 and self.node.reported in (UP, LACKING)

    def _deep_due(self, now: float) -> float:
        """Return when the next deep check is due: sooner while a request is overdue."""
        health = self._settings.health
        oldest = oldest_short(self.node)
        if oldest is None or now - oldest < health.silence_s:
            return self._deep.next_at
        usual = health.deep_interval_s * (1.0 - health.jitter)
        return min(self._deep.next_at, self._deep.next_at - usual + health.deep_fast_interval_s)

    def _judge(self, verdict: Verdict | None, now: float) -> None:
        """Act on the end of a deep check."""
        if verdict is None:
            return
        node = self.node
        if node.sanction == PROBING:
            if verdict is Verdict.GOOD:
                self._sanction.lift(now)
                self.outlier.forget()
                self._table.impose(node, "", "", now)
                self._dispatcher.pump(now)
            else:
                if self._table.rotation:  # while no node serves, ejection times are ignored and do not grow
                    self._sanction.impose(now)
                self._table.impose(node, EJECTED, "its probe failed", now)
        elif verdict is Verdict.WRONG:
            self._take_out(EJECTED, "a signature of its deep check is wrong", WRONG_SIGNATURE, now)
        elif verdict is Verdict.FAILED:
            if self._deep.failed >= self._settings.health.deep_fall:
                self._take_out(EJECTED, f"{self._deep.failed} deep checks failed", "deep_check", now)
            else:
                self._deep.next_at = min(self._deep.next_at, now + self._settings.health.deep_fast_interval_s)

    def _take_out(self, sanction: str, reason: str, cause: str, now: float) -> None:
        """Take the node out of rotation, unless it is the last one."""
        node = self.node
        if node.sanction or not self._table.spares(node):
            return
        sanctions = self._dispatcher.counters.sanctions
        sanctions[node.name, cause] = sanctions.get((node.name, cause), 0) + 1
        self._sanction.impose(now)
        self.outlier.forget()
        self._table.impose(node, sanction, reason, now)
        if cause != "errors":  # a node that makes errors now and then may still answer what it has
            self._dispatcher.failover.evacuate(node, cause, now)
            self._dispatcher.pump(now)

    def _restarted(self, now: float) -> None:
        """The node is another process: nothing that was held against the old one counts, but a probe does not hurt."""
        if self.node.boot_id:
            self._dispatcher.notices.add("a node has started anew", level="info", node=self.node.name)
        self._deep.restarted()
        self.outlier.forget()
        for watch in self.paths.values():
            watch.round_trip_s = inf
        if self.node.sanction:
            self._sanction.until = now
