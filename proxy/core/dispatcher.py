"""Requests in, answers out: exactly one answer for each request of each client that is still there.

Theory. A request is either with a node (`link` is set, and it is in that link's `in_flight`), or it waits (in the
fair queue, or in `_retries` after an attempt), or it is `done`. A request whose client was answered without the
node (deadline, client gone) stays in the link's `in_flight` as done, because the node still works on it and the
window must say so; the node's answer is then dropped and counted.

Every operation is safe to send twice (protocol, section 3), so what was in flight on a lost node is sent again.
"""

from collections.abc import Callable
from typing import Final

from hsm_wire import kinds
from hsm_wire.frames import Frame, encode_frame, readdress_request, readdress_response
from hsm_wire.limits import LENGTH_FIELD_BYTES
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from proxy.core.answers import ELSEWHERE, GOING_AWAY, NOT_EXECUTED, refusal, timeout_s
from proxy.core.balancer import Balancer
from proxy.core.counters import Counters
from proxy.core.deadlines import DeadlineWheel
from proxy.core.fair_queue import FairQueue
from proxy.core.node_table import Node, NodeTable
from proxy.core.parties import Client, Link, Request
from proxy.core.settings import Limits

_STATUS: Final = int(Opcode.STATUS)
_RATE_WEIGHT: Final = 0.2
"""Share of the newest measurement in the moving mean of answers a second."""
_RATE_PERIOD_S: Final = 0.25


class Dispatcher:
    """The switch between clients and nodes."""

    def __init__(
        self,
        table: NodeTable,
        balancer: Balancer,
        limits: Limits,
        counters: Counters,
        now: float,
        report: Callable[[Frame, float], bytes],
    ) -> None:
        self.table = table
        self.counters = counters
        self.queue = FairQueue(limits.queue_requests, limits.queue_bytes)
        self.leaving = False
        """The proxy shuts down: new requests are answered GOING_AWAY."""
        self._balancer = balancer
        self._limits = limits
        self._wheel = DeadlineWheel(now)
        self._report = report
        self._retries: dict[Request, None] = {}
        self._rate = 0.0
        self._rate_since = now
        self._rate_answers = 0

    @property
    def waiting(self) -> int:
        """Requests that wait for a node."""
        return self.queue.size + len(self._retries)

    # ---- from clients ---------------------------------------------------------------------------------------------

    def request(self, client: Client, frame: Frame, now: float) -> None:
        """Take a request of a client: to a node, to the queue, or answered at once."""
        self.counters.requests += 1
        if len(client.in_flight) >= client.max_in_flight:
            self._refuse(client, frame, Status.OVERLOADED, f"more than {client.max_in_flight} requests in flight")
            return
        if frame.opcode == _STATUS:
            client.wire_ids.discard(frame.request_id)
            self.counters.answered(_STATUS, 0, 0.0)
            client.sink(self._report(frame, now))
            return
        if self.leaving:
            self._refuse(client, frame, Status.GOING_AWAY, "this proxy is shutting down; use another connection")
            return
        request = Request(client, frame, now, now + timeout_s(frame))
        client.in_flight[frame.request_id] = request
        self._wheel.file(request, request.deadline)
        node = None if self.queue.size else self._balancer.maybe_node()
        if node is not None:
            self._send(request, node, now)
        else:
            self._enqueue(request, now)

    def cancel(self, client: Client, request_id: int, now: float) -> None:
        """Take a client's CANCEL: a waiting request is answered, one with a node is cancelled there."""
        request = client.in_flight.get(request_id)
        if request is None:
            return  # its answer is on the way already
        if request.link is not None:
            request.link.sink(encode_frame(kinds.CANCEL, request_id=request.link_id))
        else:
            self._unqueue(request)
            self._fail(request, Status.CANCELLED, "cancelled by the caller", now)

    def client_lost(self, client: Client, now: float) -> None:
        """Forget a client; nodes are told not to work for it any more."""
        for request in client.in_flight.values():
            request.done = True
            self._wheel.drop(request)
            if request.link is None:
                self._unqueue(request)
            else:
                request.link.sink(encode_frame(kinds.CANCEL, request_id=request.link_id))
                self._wheel.file(request, now + self._limits.owed_answer_s)
        client.in_flight.clear()

    # ---- from nodes -----------------------------------------------------------------------------------------------

    def response(self, link: Link, frame: Frame, now: float) -> None:
        """Take a node's answer: to its client, or the request goes elsewhere."""
        request = link.in_flight.pop(frame.request_id, None)
        if request is None:
            self.counters.late_answers += 1  # owed for so long that it was given up
            return
        node = link.node
        node.in_flight -= 1
        self._rate_answers += 1
        if request.done:
            self.counters.late_answers += 1
            self._wheel.drop(request)
        elif frame.status in ELSEWHERE:
            if not frame.flags & NOT_EXECUTED:
                request.may_have_run = True
            self._elsewhere(request, node, frame, now)
        else:
            node.requests += 1
            self._finish(request, readdress_response(frame, request.client_id), frame.status, now)
        if self.queue.size or self._retries:
            self.pump(now)

    def link_lost(self, link: Link, reason: str, now: float) -> None:
        """Take a link out; what was in flight on it goes to other nodes."""
        path = link.path
        if path.link is link:
            path.link = None
            self.table.path_down(path, reason, now)
        node = link.node
        requests = list(link.in_flight.values())
        link.in_flight.clear()
        node.in_flight -= len(requests)
        for request in requests:
            if request.done:
                self._wheel.drop(request)
            else:
                request.may_have_run = True
                self._elsewhere(request, node, None, now)
        self.pump(now)

    # ---- from the clock -------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Answer what is due: deadlines, and requests that waited long enough for any node at all."""
        for request in self._wheel.due(now):
            self._due(request, now)
        table = self.table
        if not table.rotation and self.waiting:
            latest = now - self._limits.no_node_wait_s
            if table.empty_since <= latest:
                for request in [*self.queue, *self._retries]:
                    if request.queued_at <= latest:
                        self._unqueue(request)
                        self._fail(request, Status.UNAVAILABLE, "no HSM node can be reached", now)
        elif self.waiting:
            self.pump(now)
        self._measure(now)

    def pump(self, now: float) -> None:
        """Send what waits, as far as the windows allow; requests that lost a node go first."""
        for request in list(self._retries):
            if request.done or request not in self._retries:
                continue
            node = self._balancer.maybe_node(request.tried)
            if node is None and not self._balancer.has_untried(request.tried):
                node = self._balancer.maybe_node()
            if node is not None:
                del self._retries[request]
                self._send(request, node, now)
        while self.queue.size:
            node = self._balancer.maybe_node()
            if node is None:
                return
            self._send(self.queue.take(), node, now)

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _send(self, request: Request, node: Node, now: float) -> None:
        link = node.link
        assert link is not None, "a node in rotation has a link"
        frame = request.frame
        if len(frame.raw) - LENGTH_FIELD_BYTES > link.max_frame_bytes:
            self._fail(request, Status.TOO_LARGE, f"the nodes take at most {link.max_frame_bytes} bytes", now)
            return
        principal = request.client.principal
        if principal.number not in link.announced:
            link.announced.add(principal.number)
            link.sink(principal.bind_frame)
        link_id = link.next_id
        link.next_id = link_id + 1 if link_id < 0xFFFF_FFFF else 1
        link.in_flight[link_id] = request
        node.in_flight += 1
        request.link = link
        request.link_id = link_id
        request.attempts += 1
        left_ms = int((request.deadline - now) * 1000)
        link.sink(readdress_request(frame, link_id, left_ms if left_ms > 0 else 1, principal.number))

    def _elsewhere(self, request: Request, node: Node, answer: Frame | None, now: float) -> None:
        """Send a request that `node` could not serve to another one, or answer it."""
        node.failures += 1
        request.link = None
        request.tried = (*request.tried, node)
        # GOING_AWAY speaks of the node's connection; passed on, a client would take it for the proxy's.
        final = answer is not None and answer.status != GOING_AWAY
        exhausted = request.attempts >= self._limits.attempts
        if final and answer is not None and (exhausted or not self._balancer.has_untried(request.tried)):
            node.requests += 1
            self._finish(request, readdress_response(answer, request.client_id), answer.status, now)
        elif exhausted:
            self._fail(request, Status.UNAVAILABLE, f"{request.attempts} HSM nodes were lost with this request", now)
        elif now >= request.deadline:
            self._fail(request, Status.TIMEOUT, "the time of the request ran out", now)
        else:
            self.counters.failovers += 1
            chosen = self._balancer.maybe_node(request.tried)
            if chosen is not None:
                self._send(request, chosen, now)
            else:
                request.queued_at = now
                self._retries[request] = None

    def _enqueue(self, request: Request, now: float) -> None:
        """Let a request wait for a window, unless that cannot end well."""
        expected = self.queue.size
        if self.table.rotation and self._rate and expected > self._rate * (request.deadline - now):
            self._fail(request, Status.OVERLOADED, "the queue is longer than the time of the request", now)
        elif not self.queue.put(request):
            self._fail(request, Status.OVERLOADED, "the queue of this proxy is full", now)

    def _unqueue(self, request: Request) -> None:
        if not self.queue.remove(request):
            self._retries.pop(request, None)

    def _due(self, request: Request, now: float) -> None:
        """Handle a request whose time is over."""
        link = request.link
        if request.done:
            if link is not None and link.in_flight.pop(request.link_id, None) is not None:
                link.node.in_flight -= 1
                self.counters.forgotten_answers += 1
            return
        if link is not None:
            request.may_have_run = True
            self._fail(request, Status.TIMEOUT, "the time of the request ran out at a node", now)
            self._wheel.file(request, now + self._limits.owed_answer_s)
            return
        self._unqueue(request)
        if not self.table.rotation:
            self._fail(request, Status.UNAVAILABLE, "no HSM node can be reached", now)
        elif request.may_have_run:
            self._fail(request, Status.TIMEOUT, "the time of the request ran out after a node was lost", now)
        else:
            self._fail(request, Status.OVERLOADED, "no HSM node had room in the time of the request", now)

    def _fail(self, request: Request, status: Status, detail: str, now: float) -> None:
        raw = refusal(request.frame, status, detail, not_executed=not request.may_have_run)
        self._finish(request, raw, int(status), now)

    def _finish(self, request: Request, raw: bytes, status: int, now: float) -> None:
        """Give the client its one answer."""
        request.done = True
        self._wheel.drop(request)
        client = request.client
        client_id = request.client_id
        del client.in_flight[client_id]
        client.wire_ids.discard(client_id)
        if len(raw) - LENGTH_FIELD_BYTES > client.max_frame_bytes:
            status = int(Status.TOO_LARGE)
            detail = f"the answer is above the {client.max_frame_bytes} bytes that HELLO named"
            raw = refusal(request.frame, Status.TOO_LARGE, detail, not_executed=False)
        self.counters.answered(request.frame.opcode, status, now - request.started)
        client.sink(raw)
        if client.leaving and not client.in_flight and client.drained is not None:
            client.drained()

    def _refuse(self, client: Client, frame: Frame, status: Status, detail: str) -> None:
        """Answer a request that is not taken at all."""
        client.wire_ids.discard(frame.request_id)
        self.counters.answered(frame.opcode, int(status), 0.0)
        client.sink(refusal(frame, status, detail))

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
