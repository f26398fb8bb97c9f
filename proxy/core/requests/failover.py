"""What happens to a request that its node did not serve: another path, another node, a wait, or an answer.

Every operation is safe to send twice (protocol, section 3), so whatever was in flight on a lost, hung or failing
node is sent again, within its deadline, its attempts and the budget.
"""

from math import inf
from typing import Final

from hsm_wire.frames import Frame, readdress_response
from hsm_wire.opcodes import operation_name
from hsm_wire.statuses import Status
from proxy.core.nodes.node_table import Node, NodeTable
from proxy.core.notices import Notices
from proxy.core.parties import Link, Loss, Owed, Request
from proxy.core.requests.answers import ELSEWHERE, GOING_AWAY, NOT_EXECUTED, STALE
from proxy.core.requests.balancer import Balancer
from proxy.core.requests.budget import RetryBudget
from proxy.core.requests.poison import Poison
from proxy.core.requests.switch import STORED_S, Switch
from proxy.core.requests.waiting_room import WaitingRoom

MAX_MOVES: Final = 4
"""Changes of the path to one node: more than a node has paths means that they flap."""
_MAX_IN_VAIN: Final = 16
"""Requests for which `pump` may find no node or no budget before it stops: most that wait need the same nodes, so
looking at thousands of them in each round would cost the loop's time and send nothing."""
_LOOK_AGAIN_S: Final = 0.25
"""After an attempt's time was over and no other node had room: when to look again."""
_ACCUSING: Final = frozenset({int(Status.DEVICE_ERROR), int(Status.RECORD_DAMAGED)})
"""What is a node's own fault if another one serves the same request."""
_STORE_UNAVAILABLE: Final = int(Status.STORE_UNAVAILABLE)
_MECHANISM_NOT_HERE: Final = int(Status.MECHANISM_NOT_HERE)
ACKNOWLEDGED_WITHIN_S: Final = 0.02
"""Clocks of acknowledgements tick in up to 10 ms: what was sent this shortly after the last one may have arrived."""
WRONG_SIGNATURE: Final = "wrong_signature"
"""Why a node is evacuated whose deep check's signature does not verify."""


class Failover:
    """Requests on their way to another node."""

    __slots__ = ("_balancer", "_budget", "_notices", "_switch", "_table", "poison", "waiting")

    def __init__(
        self, switch: Switch, table: NodeTable, balancer: Balancer, budget: RetryBudget, notices: Notices
    ) -> None:
        self.poison = Poison(switch.settings)
        self._switch = switch
        self._table = table
        self._balancer = balancer
        self._budget = budget
        self._notices = notices
        self.waiting = WaitingRoom()
        """Requests between two nodes, the oldest first: for room, for the budget, or (`held_until`) for a verdict."""

    @property
    def full(self) -> bool:
        """Say whether so much waits here that nothing new may be taken: what lost its node is never refused room."""
        limits = self._switch.settings.limits
        return len(self.waiting) >= limits.queue_requests or self.waiting.bytes >= limits.queue_bytes

    # ---- why a request leaves its node -------------------------------------------------------------------------

    def refused(self, request: Request, node: Node, answer: Frame, now: float) -> None:
        """Take an answer that says: not here. The request was taken off its link."""
        if not answer.flags & NOT_EXECUTED:
            request.may_have_run = True
        if answer.status in _ACCUSING:
            if self._switch.settings.retry.attempts > 1:
                request.accused = (*request.accused, node)
            else:
                _charge(node)  # nobody else is asked
        if answer.status == _STORE_UNAVAILABLE:
            request.stored_by = request.started + STORED_S
        lacking = answer.status == _MECHANISM_NOT_HERE and bool(answer.flags & NOT_EXECUTED)
        if lacking:
            request.attempts -= 1  # It was none: no node is asked twice, so this has an end.
        self._elsewhere(request, node, Status(answer.status).name.lower(), now, answer, costless=lacking)

    @staticmethod
    def served(request: Request) -> None:
        """Hold a device's errors against it: another one has served this very request, so the request was not to
        blame. What fails everywhere, with a damaged key, say, takes no node out."""
        for node in request.accused:
            _charge(node)
        request.accused = ()

    def link_lost(self, link: Link, *, node_lost: bool, abnormal: bool, now: float) -> None:
        """Move what was in flight on a link that is gone: to the node's other path, else to another node."""
        node = link.node
        entries = list(link.in_flight.values())
        link.in_flight.clear()
        lost = node_lost and abnormal
        if lost:
            node.errors_in_a_row += 1 if entries else 0
            node.errors += sum(isinstance(entry, Request) for entry in entries)
            self.poison.node_lost(node, now)  # an idle one too: it acquits who was with the others
        accused = node.suspects > 0
        arrived_until = link.arrived_until + ACKNOWLEDGED_WITHIN_S
        kind = Loss.CRASH if link.arrived_until == inf else Loss.MACHINE if arrived_until < now else Loss.HANG
        for entry in entries:
            if isinstance(entry, Request):
                self._switch.detach(entry)
                entry.may_have_run = True
                # A long request that was there all the time is not to blame while a suspect had just come.
                beside = accused and bool(entry.losses) and entry.handling.long
                suspect = lost and not beside and entry.sent_at <= arrived_until
                self._lost(entry, node, now, kind if suspect else None)
            elif isinstance(entry, Owed):
                self._switch.settle(entry)
            else:
                node.in_flight -= 1

    def evacuate(self, node: Node, reason: str, now: float) -> None:
        """Move everything away from a node that is connected and of no use."""
        suspected = reason != WRONG_SIGNATURE  # no request makes a node sign wrongly
        if suspected:
            self.poison.node_lost(node, now)
        for link in self._table.links:
            if link.node is node:
                for entry in list(link.in_flight.values()):
                    if isinstance(entry, Request):
                        self._switch.leave(entry, now, cancel=True)
                        entry.may_have_run = True
                        if suspected and not entry.handling.long:
                            self._suspect(entry, node, reason, now, Loss.HANG)
                        else:
                            self._elsewhere(entry, node, reason, now)

    def attempt_over(self, request: Request, now: float) -> None:
        """Send a request to another node as well, if one has room: this one had its time."""
        link = request.link
        assert link is not None, "an attempt has a link"
        node = link.node
        switch = self._switch
        fair_at = switch.forgiven_at + switch.fair_s(request.handling)
        if now < fair_at:
            switch.wheel.file(request, min(request.deadline, fair_at))
            return
        switch.charge(request)
        other = None if request.losses else self._balancer.maybe_node((*request.tried, node))
        if other is None or not self._affords():
            switch.wheel.file(request, min(request.deadline, now + _LOOK_AGAIN_S))
            return
        switch.leave(request, now, cancel=False)
        request.may_have_run = True
        self._note(request, node, "timeout")
        switch.send(request, other, now)

    def late(self, owed: Owed, answer: Frame, now: float) -> None:
        """Take an answer that was owed. If its request still waits elsewhere, it is as good as any."""
        self._switch.settle(owed)
        request = owed.request
        outdated = answer.flags & STALE and self._table.reachable  # A current node may have the request.
        if request.done or outdated or owed.link.node.sanction or answer.status in ELSEWHERE:
            self._switch.counters.late_answers += 1
            return
        if request.link is not None:
            self._switch.leave(request, now, cancel=True)
        else:
            self.waiting.discard(request)
        self.served(request)
        node = owed.link.node
        self._switch.finish(request, readdress_response(answer, request.client_id), answer.status, now, node)

    # ---- when it goes on ---------------------------------------------------------------------------------------

    def pump(self, now: float) -> None:
        """Send what waits here, as far as windows and budget allow."""
        in_vain = 0
        suspects_at_once = self.poison.suspects_at_once(sum(1 for request in self.waiting if request.losses))
        # What runs long goes last: it may wait for long, and what is behind it shall not.
        for request in sorted(self.waiting, key=_runs_long):
            if request.held_until or request not in self.waiting:
                continue
            node = self._untried(request, suspects_at_once)
            if node is not None and (request.costless or self._budget.take()):
                self.waiting.discard(request)
                self._switch.send(request, node, now)
            else:
                in_vain += 1
                if in_vain >= _MAX_IN_VAIN:
                    return

    def tick(self, now: float) -> None:
        """Pass the verdicts that are due."""
        for request in [request for request in self.waiting if 0.0 < request.held_until <= now]:
            request.held_until = 0.0
            if self.poison.guilty(request, now, served=bool(self._table.rotation)):
                self.waiting.discard(request)
                ban = self.poison.ban(request, now)
                self._notices.add(
                    "a request is refused from now on: nodes were lost with it",
                    operation=operation_name(ban.opcode),
                    partition=ban.partition,
                    key=ban.key_id.hex(),
                    nodes=", ".join(node.name for node in request.tried),
                    seconds=self._switch.settings.retry.poison_s,
                )
                self._switch.counters.poisoned += 1
                detail = "two HSM nodes were lost while they worked on this request; do not send it again"
                self._switch.fail(request, Status.POISON, detail, now)
            elif request.attempts >= self._switch.settings.retry.attempts:
                self.waiting.discard(request)
                detail = f"{request.attempts} HSM nodes did not serve this request"
                self._switch.fail(request, Status.UNAVAILABLE, detail, now)
            else:
                request.losses = request.losses[-1:]

    # ---- inside ------------------------------------------------------------------------------------------------

    def _lost(self, request: Request, node: Node, now: float, kind: Loss | None) -> None:
        if node in self._table.rotation and request.moves < MAX_MOVES:
            request.moves += 1
            request.attempts -= 1
            self._switch.counters.path_moves += 1
            self._switch.send(request, node, now)
        elif kind is not None:
            self._suspect(request, node, "lost", now, kind)
        else:
            self._elsewhere(request, node, "lost", now)

    def _suspect(self, request: Request, node: Node, reason: str, now: float, kind: Loss) -> None:
        """Send a request on under suspicion, or hold it for a verdict: what kills does so twice in the same way."""
        is_first = kind not in request.losses
        request.losses += (kind,)
        if is_first:
            self._elsewhere(request, node, reason, now)
            return
        self._note(request, node, reason)
        request.held_until = now + self._switch.settings.retry.verdict_s
        request.queued_at = now
        self.waiting.add(request)
        self._switch.wheel.file(request, request.deadline)

    def _affords(self) -> bool:
        """Take one attempt from the budget, or count that it is used up."""
        if self._budget.take():
            return True
        self._switch.counters.budget_empty += 1
        return False

    def _note(self, request: Request, node: Node, reason: str) -> None:
        node.failures[reason] = node.failures.get(reason, 0) + 1
        if node not in request.tried:
            request.tried = (*request.tried, node)

    def _elsewhere(
        self,
        request: Request,
        node: Node,
        reason: str,
        now: float,
        answer: Frame | None = None,
        *,
        costless: bool = False,
    ) -> None:
        """Send a request that `node` did not serve to another one, or answer it."""
        self._note(request, node, reason)
        request.costless = costless
        switch = self._switch
        # GOING_AWAY speaks of the node's connection; passed on, a client would take it for the proxy's.
        final = answer is not None and answer.status != GOING_AWAY
        exhausted = request.attempts >= switch.settings.retry.attempts or now >= request.stored_by
        if final and answer is not None and (exhausted or not self._balancer.has_untried(request.tried)):
            node.requests += 1
            switch.finish(request, readdress_response(answer, request.client_id), answer.status, now)
        elif exhausted:
            switch.fail(request, Status.UNAVAILABLE, f"{request.attempts} HSM nodes did not serve this request", now)
        elif now >= request.deadline:
            switch.out_of_time(request, "the time of the request ran out", now)
        else:
            switch.counters.failovers += 1
            self._send_or_wait(request, now)

    def _send_or_wait(self, request: Request, now: float) -> None:
        chosen = None if request.losses else self._balancer.maybe_node(request.tried)
        if chosen is not None and (request.costless or self._affords()):
            self._switch.send(request, chosen, now)
            return
        request.queued_at = now
        self.waiting.add(request)
        self._switch.wheel.file(request, min(request.deadline, request.stored_by))

    def _untried(self, request: Request, suspects_at_once: int) -> Node | None:
        """Return a node with room: one that did not have the request yet, while there is one; for a suspect also one
        that has few others, of another site while one serves: a site's nodes often go down together, and a suspect that
        had two of them would be guilty."""
        balancer = self._balancer
        tried = request.tried if balancer.has_untried(request.tried) else ()
        if not request.losses:
            return balancer.maybe_node(tried)
        sites = {node.site for node in request.tried}
        if _runs_long(request):
            suspects_at_once = 1  # it takes nobody's turn, so it may run beside its like: but not beside a suspect
        free = [node for node in self._table.rotation if node not in tried and node.suspects < suspects_at_once]
        if any(node.site not in sites for node in self._table.rotation):
            free = [node for node in free if node.site not in sites]
        return balancer.maybe_among(free)


def _charge(node: Node) -> None:
    node.errors += 1
    node.errors_in_a_row += 1


def _runs_long(request: Request) -> bool:
    return request.handling.long
