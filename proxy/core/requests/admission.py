"""Which requests are taken, and the answers to those that are not: beyond a limit or quota, banned, or for the proxy.

The way of a request comes here only with one of which `Dispatcher.requests` does not see at once that it is taken.
"""

from hsm_wire.frames import Frame
from hsm_wire.operations import SIGNATURES
from hsm_wire.statuses import Status
from proxy.core.handling import Handling
from proxy.core.nodes.node_table import NodeTable
from proxy.core.parties import Client
from proxy.core.requests.answers import refusal
from proxy.core.requests.failover import Failover
from proxy.core.requests.own_answers import OwnAnswers
from proxy.core.requests.switch import Switch


class Admission:
    """At the door of the dispatcher."""

    __slots__ = ("_failover", "_own", "_quotas", "_switch", "_table")

    def __init__(self, switch: Switch, table: NodeTable, failover: Failover, own: OwnAnswers) -> None:
        self._switch = switch
        self._table = table
        self._failover = failover
        self._own = own
        self._quotas = switch.quotas

    def turns_away(self, client: Client, frame: Frame, handling: Handling, now: float) -> bool:
        """Answer a request that goes to no node, or may not; whether it was one."""
        counters = self._switch.counters
        client.reports += handling.own
        if len(client.in_flight) >= client.max_in_flight:
            client.excess = True
            counters.overloaded["client_in_flight"] += 1
            self.refuse(client, frame, Status.OVERLOADED, f"more than {client.max_in_flight} requests in flight", now)
        elif handling.own:
            self._own.give(client, frame, now)
        elif self._failover.poison.bans and self._failover.poison.banned(client.principal, frame, now):
            counters.banned += 1
            detail = "a request like this was in flight at two losses of an HSM node; do not send it again"
            self.refuse(client, frame, Status.POISON, detail, now)
        elif self._failover.waiting.size and self._failover.full:
            counters.overloaded["failover_full"] += 1
            self.refuse(client, frame, Status.OVERLOADED, "too many requests wait for another HSM node", now)
        elif handling.at_dr_site and self._dr_site_away:
            # It may be back in a moment: who asks sends again until its deadline.
            detail = "no node of the DR site can be reached from here; ask it over the local socket of its host"
            self.refuse(client, frame, Status.UNAVAILABLE, detail, now)
        elif self._quotas.gates and handling.metered and not self._within_quota(client, frame, now):
            pass
        else:
            return handling.long and not self._may_generate(client, frame, now)
        return True

    def refuse(
        self, client: Client, frame: Frame, status: Status, detail: str, now: float, retry_after_ms: int = 0
    ) -> None:
        """Answer a request that is not taken at all."""
        client.wire_ids.discard(frame.request_id)
        self._switch.counters.answered(frame.opcode, int(status), None)
        self._switch.notes.failed(frame, int(status), now)
        client.sink(refusal(frame, status, detail, retry_after_ms=retry_after_ms))

    @property
    def _dr_site_away(self) -> bool:
        """Whether there are nodes of a DR site, and none of them can be reached."""
        return any(node.recovers for node in self._table.nodes) and not self._table.at_dr_site

    def _within_quota(self, client: Client, frame: Frame, now: float) -> bool:
        """Let a request through that its partition's quota has room for; answer any other."""
        partition = client.principal.partition
        gate = self._quotas.gates.get(partition)
        if gate is None:
            return True
        if frame.opcode in SIGNATURES and gate.left > 0:  # the way of nearly all of them: no call more than this one
            gate.left -= 1
            return True
        over = self._quotas.admit(partition, frame.opcode, now)
        if over is not None:
            self.refuse(client, frame, Status.OVER_QUOTA, over.detail, now, over.retry_after_ms)
        return over is None

    def _may_generate(self, client: Client, frame: Frame, now: float) -> bool:
        """Count a request that runs long, unless its partition has as many as it may."""
        partition = client.principal.partition
        limit = self._switch.settings.limits.partition_generations
        if self._switch.generations[partition] >= limit:
            self._switch.counters.overloaded["partition_generations"] += 1
            detail = f"{limit} key generations of this partition are in flight"
            self.refuse(client, frame, Status.OVERLOADED, detail, now)
            self._quotas.settle(partition, now, made=False)
            return False
        self._switch.generations[partition] += 1
        return True
