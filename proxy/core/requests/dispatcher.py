"""Requests in, answers out: exactly one answer for each request of each client that is still there.

Theory. A request is either with a node (`link` is set, and it is in that link's `in_flight`), or it waits (in the
fair queue, or in `failover`), or it is `done`. One that was given up at a node leaves an `Owed` there, because the
node still works on it and the window must say so.
"""

from collections.abc import Callable
from typing import Final

from hsm_wire import kinds
from hsm_wire.frames import Frame, encode_frame, readdress_response
from hsm_wire.statuses import Status
from proxy.core.counters import Counters
from proxy.core.handling import HANDLING, UNKNOWN, Handling
from proxy.core.nodes.node_table import Node, NodeTable
from proxy.core.notices import Notices
from proxy.core.parties import Client, Link, Owed, Probe, Request
from proxy.core.quota.quotas import Quotas
from proxy.core.requests.admission import Admission
from proxy.core.requests.answers import ELSEWHERE, STALE, timeout_s
from proxy.core.requests.balancer import Balancer
from proxy.core.requests.budget import RetryBudget
from proxy.core.requests.failover import Failover
from proxy.core.requests.fair_queue import FairQueue
from proxy.core.requests.own_answers import OwnAnswers, Report
from proxy.core.requests.stale_answers import StaleAnswers
from proxy.core.requests.switch import Switch
from proxy.core.settings import Settings

_REQUEST: Final = kinds.REQUEST
_RESPONSE: Final = kinds.RESPONSE
AFTERMATH_S: Final = 1.0
"""Losses of nodes found so soon after the proxy itself stood still make no request a suspect, and no node worse: twice
the time after which nodes and proxies give each other up."""
_RATE_WEIGHT: Final = 0.2
"""Share of the newest measurement in the moving mean of answers a second."""
_RATE_PERIOD_S: Final = 0.25


class Dispatcher:
    """The switch between clients and nodes."""

    def __init__(
        self,
        table: NodeTable,
        balancer: Balancer,
        settings: Settings,
        counters: Counters,
        now: float,
        report: Report,
        quotas: Quotas | None = None,
    ) -> None:
        self.table = table
        self.counters = counters
        self.settings = settings
        self.queue = FairQueue(settings)
        self.leaving = False
        """The proxy shuts down: no client is greeted any more. Those there are hear GOAWAY one after the other, and
        are served until then."""
        self.on_probe: Callable[[Probe, Link, Frame, float], None] | None = None
        """Takes the answers to deep checks."""
        self.on_stray: Callable[[Link, Frame, float], bool] | None = None
        """Asked whether it waits for an answer that nothing in flight waits for."""
        self.quotas = quotas or Quotas(lambda: now)
        self._gates = self.quotas.gates
        self._balancer = balancer
        self._switch = Switch(settings, counters, self.quotas, now)
        self._budget = RetryBudget(settings, now)
        self.notices = Notices()
        self.request_notes = self._switch.notes
        self.failover = Failover(self._switch, table, balancer, self._budget, self.notices)
        self._bans = self.failover.poison.bans
        self._between = self.failover.waiting
        self.stale = StaleAnswers(self._switch, table)
        self._admission = Admission(self._switch, table, self.failover, OwnAnswers(counters, report))
        self._rate = 0.0
        self._rate_since = now
        self._rate_answers = 0

    @property
    def waiting(self) -> int:
        """Requests that wait for a node."""
        return self.queue.size + self._between.size

    # ---- from clients ---------------------------------------------------------------------------------------------

    def requests(self, client: Client, frames: list[Frame], at: int, now: float) -> int:
        """Take a client's requests from `at` on, up to the first frame that is none; return where that is."""
        count = len(frames)
        in_flight = client.in_flight
        most = client.max_in_flight
        counters, queue, switch = self.counters, self.queue, self._switch
        while at < count:
            frame = frames[at]
            if frame.kind != _REQUEST:
                break
            at += 1
            counters.requests += 1
            handling = HANDLING.get(frame.opcode, UNKNOWN)
            # What is looked at closer: nearly always there is nothing of it.
            if (
                handling.apart
                or len(in_flight) >= most
                or self._bans
                or self._between.size
                or (handling.metered and self._gates)
            ) and self._admission.turns_away(client, frame, handling, now):
                continue
            time_s = timeout_s(frame) if frame.timeout_ms else handling.timeout_s
            request = Request(client, frame, now, now + time_s, handling)
            in_flight[frame.request_id] = request
            node = self._apart(handling) if handling.administers else None
            if node is None and not queue.size:
                node = self._balancer.maybe_node()
            if node is not None:
                switch.send(request, node, now)
            else:
                self._enqueue(request, now)
        return at

    def request(self, client: Client, frame: Frame, now: float) -> None:
        """Take a request of a client: to a node, to the queue, or answered at once."""
        self.requests(client, [frame], 0, now)

    def cancel(self, client: Client, request_id: int, now: float) -> None:
        """Take a client's CANCEL: a waiting request is answered, one with a node is cancelled there."""
        request = client.in_flight.get(request_id)
        if request is None:
            return  # its answer is on the way already
        if request.link is not None:
            request.link.sink(encode_frame(kinds.CANCEL, request_id=request.link_id))
        else:
            self._unqueue(request)
            self._switch.fail(request, Status.CANCELLED, "cancelled by the caller", now)

    def client_lost(self, client: Client, now: float) -> None:
        """Forget a client; nodes are told not to work for it any more."""
        for request in client.in_flight.values():
            self._switch.abandon(request, now)
            if request.link is None:
                self._unqueue(request)
            else:
                self._switch.leave(request, now, cancel=True)
        client.in_flight.clear()

    # ---- from nodes -----------------------------------------------------------------------------------------------

    def responses(self, link: Link, frames: list[Frame], at: int, now: float) -> int:
        """Take a node's answers from `at` on, up to the first frame that answers no request; return where that is."""
        count = len(frames)
        node, in_flight = link.node, link.in_flight
        counters, queue, switch, between = self.counters, self.queue, self._switch, self._between
        while at < count:
            frame = frames[at]
            link_id = frame.request_id
            if frame.kind != _RESPONSE or not link_id:
                break
            at += 1
            self._rate_answers += 1
            entry = in_flight.get(link_id)
            if entry is not None:
                del in_flight[link_id]
            if not isinstance(entry, Request):
                self._not_waited_for(entry, link, frame, now)
            elif frame.operation_id != entry.frame.operation_id or frame.opcode != entry.frame.opcode:
                self._mistrust(link, frame, entry)
                continue
            else:
                switch.detach(entry)
                if not entry.handling.long:
                    took_s = now - entry.sent_at
                    node.answers += 1
                    node.answer_time_s += took_s
                    node.duration_buckets[counters.bucket(took_s)] += 1
                if frame.flags or frame.status or entry.accused:
                    self._answered(entry, frame, node, now)
                else:
                    node.errors_in_a_row = 0
                    node.requests += 1
                    switch.finish(entry, readdress_response(frame, entry.frame.request_id), 0, now, node)
            if queue.size or between.size:
                self.pump(now)
        return at

    def response(self, link: Link, frame: Frame, now: float) -> None:
        """Take a node's answer: to its client, or the request goes elsewhere."""
        self.responses(link, [frame], 0, now)

    def link_lost(self, link: Link, *, node_lost: bool, abnormal: bool, now: float) -> None:
        """Move what was in flight on a link that is gone; the table knows of the loss already."""
        # What stopped this proxy may have stopped its neighbours, or made them give it up: that convicts nobody.
        abnormal = abnormal and now - self._switch.forgiven_at >= AFTERMATH_S
        self.failover.link_lost(link, node_lost=node_lost, abnormal=abnormal, now=now)
        self.stale.settle(now)
        self.pump(now)

    # ---- from the clock -------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Answer what is due: deadlines, and requests that waited long enough for any node at all."""
        self._budget.fill(self.counters.requests, now)
        for entry in self._switch.wheel.due(now):
            if isinstance(entry, Owed):
                self._forget(entry)
            else:
                self._due(entry, now)
        self.failover.tick(now)
        self.stale.settle(now)
        table = self.table
        if not table.rotation and self.waiting:
            latest = now - self.settings.limits.no_node_wait_s
            if table.empty_since <= latest:
                for request in [*self.queue, *self._between]:
                    if request.queued_at <= latest:
                        self._unqueue(request)
                        self._switch.fail(request, Status.UNAVAILABLE, self.table.outage, now)
        elif self.waiting:
            self.pump(now)
        self._measure(now)

    def forgive(self, now: float) -> None:
        """Note that the proxy itself stood still until now."""
        self._switch.forgiven_at = now

    def pump(self, now: float) -> None:
        """Send what waits, as far as the windows allow; requests that lost a node go first."""
        if self._between.size:
            self.failover.pump(now)
        while self.queue.size:
            node = self._balancer.maybe_node()
            if node is None:
                return
            self._switch.send(self.queue.take(), node, now)

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _not_waited_for(self, entry: Owed | Probe | None, link: Link, frame: Frame, now: float) -> None:
        """Take an answer that no client waits for at this link."""
        if isinstance(entry, Owed):
            asked = entry.request.frame
            if frame.operation_id != asked.operation_id or frame.opcode != asked.opcode:
                self._mistrust(link, frame, entry)
            else:
                self.failover.late(entry, frame, now)
        elif isinstance(entry, Probe):
            link.node.in_flight -= 1
            if self.on_probe is not None:
                self.on_probe(entry, link, frame, now)
        elif self.on_stray is None or not self.on_stray(link, frame, now):
            self.counters.late_answers += 1  # owed for so long that it was forgotten

    def _mistrust(self, link: Link, frame: Frame, entry: Request | Owed) -> None:
        """Drop a link that answered with the answer to something else: what it has moves, this request too."""
        link.in_flight[frame.request_id] = entry
        self.counters.wrong_answers += 1
        link.close("the node broke the protocol: it answered a request with the answer to another one")

    def _answered(self, request: Request, frame: Frame, node: Node, now: float) -> None:
        """Take an answer that is no plain success, or of a request that other nodes failed."""
        if frame.status in ELSEWHERE:
            self.failover.refused(request, node, frame, now)
        elif frame.flags & STALE:
            self.stale.take(request, frame, node, now)
        else:
            node.errors_in_a_row = 0
            node.requests += 1
            if request.accused:
                self.failover.served(request)
            raw = readdress_response(frame, request.frame.request_id)
            self._switch.finish(request, raw, frame.status, now, node)

    def _apart(self, handling: Handling) -> Node | None:
        """Return a node for an operator's request that is not drawn among those in rotation."""
        node = self._balancer.maybe_among(self.table.at_dr_site) if handling.at_dr_site else None
        if node is None and not self.table.rotation:
            # Who took the last node out must be able to bring it back.
            node = self._balancer.maybe_among(self.table.reachable)
        return node

    def _enqueue(self, request: Request, now: float) -> None:
        """Let a request wait for a window, unless that cannot end well."""
        expected = self.queue.ahead(request)
        if self.table.rotation and self._rate and expected > self._rate * (request.deadline - now):
            self._overload(request, "queue_too_long", "the queue is longer than the time of the request", now)
            return
        request.queued_at = now
        self._switch.wheel.file(request, request.deadline)
        for loser in self.queue.put(request):
            self._overload(loser, "queue_full", "the queue of this proxy is full", now)

    def _overload(self, request: Request, reason: str, detail: str, now: float) -> None:
        """Answer a request that finds no room, and count why."""
        self.counters.overloaded[reason] += 1
        self._switch.fail(request, Status.OVERLOADED, detail, now)

    def _unqueue(self, request: Request) -> None:
        if not self.stale.discard(request) and not self.queue.remove(request):
            self._between.discard(request)

    def _forget(self, owed: Owed) -> None:
        """Give up an answer that a node owed for too long."""
        if owed.link.in_flight.pop(owed.link_id, None) is not None:
            self._switch.settle(owed)
            self.counters.forgotten_answers += 1

    def _due(self, request: Request, now: float) -> None:
        """Handle a request whose time with a node, or whose whole time, is over."""
        if self.stale.over(request, now):
            return
        link = request.link
        if link is not None and now < min(request.deadline, request.stored_by):
            self.failover.attempt_over(request, now)
            return
        if link is not None:
            since = max(request.sent_at, self._switch.forgiven_at)
            if now - since >= self._switch.fair_s(request.handling):
                self._switch.charge(request)
            self._switch.leave(request, now, cancel=True)
            request.may_have_run = True
            self._switch.out_of_time(request, "the time of the request ran out at a node", now, link.node)
            return
        self._unqueue(request)
        if not self.table.rotation:
            self._switch.fail(request, Status.UNAVAILABLE, self.table.outage, now)
        elif request.may_have_run or now >= request.stored_by:
            self._switch.out_of_time(request, "the time of the request ran out after a node was lost", now)
        else:
            self._overload(request, "windows_full", "no HSM node had room in the time of the request", now)

    def _measure(self, now: float) -> None:
        """Keep the mean of answers a second while requests wait: from it a queue's waiting time is told.

        A quiet cluster answers little because it is asked little; that says nothing of what it can do.
        """
        elapsed = now - self._rate_since
        if elapsed < _RATE_PERIOD_S:
            return
        if not self.waiting:
            self._rate = 0.0
        else:
            newest = self._rate_answers / elapsed
            self._rate = newest if not self._rate else self._rate + _RATE_WEIGHT * (newest - self._rate)
        self._rate_since = now
        self._rate_answers = 0
