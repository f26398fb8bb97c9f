"""The cluster as this proxy sees it: the answers to STATUS and EVENTS, and the admin page `/status` with the same
content under the same names."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from hsm_cluster.topology import Site
from hsm_wire import kinds
from hsm_wire.forms import named_fields
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.limits import MAX_NAME_CHARACTERS
from hsm_wire.messages import (
    Events,
    EventsResult,
    NodeReport,
    PartitionReport,
    PathReport,
    SiteReport,
    StatusResult,
    UplinkReport,
    decode_body,
    encode_body,
)
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import Role
from proxy.core.nodes.node_table import UP, Node, NodeTable
from proxy.core.principals import Bound
from proxy.core.reporting.events import RecentEvents, time_words
from proxy.core.reporting.health import health, problems
from proxy.core.reporting.rates import Flow, Rates, Traffic
from proxy.core.reporting.shared_store import nodes_out, store_members, store_problems

PAGE_EVENTS: Final = 50
"""Events on the page `/status`."""


class Shell(msgspec.Struct, frozen=True):
    """What the core does not know, at one moment."""

    clients: int = 0
    """Connections of clients."""
    waiting: int = 0
    """Requests that wait for a node."""
    problems: tuple[str, ...] = ()
    """What is wrong with this proxy itself."""
    sites: tuple[Site, ...] = ()
    package: str = ""
    shortfalls: tuple[str, ...] = ()
    """What the package promises and the cluster does not have now."""
    partitions: tuple[tuple[int, PartitionReport], ...] = ()
    """By their numbers."""
    durability: str = ""


class StatusReporter:
    """Makes status reports."""

    def __init__(
        self,
        *,
        proxy: str,
        site: str,
        cluster: str,
        software: str,
        started: float,
        table: NodeTable,
        rates: Rates,
        events: RecentEvents,
        wall: Callable[[], float],
        shell: Callable[[], Shell] = Shell,
        whole: Callable[[StatusResult, Traffic], StatusResult] = lambda own, _traffic: own,
    ) -> None:
        self._proxy = proxy
        self._site = site
        self._cluster = cluster
        self._software = software
        self._started = started
        self._table = table
        self._rates = rates
        self._events = events
        self._wall = wall
        """Returns seconds since 1970."""
        self._shell = shell
        self._whole = whole
        """Adds what other workers of this proxy do."""

    def result(self, now: float, partition: int | None = None) -> StatusResult:
        """Return the report; `partition`: of whom it is for, None for operators, who see all of them."""
        shell, table = self._shell(), self._table
        traffic = self._rates.traffic(now)
        told = [*problems(table), *store_problems(table.nodes)]
        wrong = [problem[:MAX_NAME_CHARACTERS] for problem in (*told, *shell.problems)]
        own = StatusResult(
            self._proxy,
            self._site,
            self._cluster,
            self._software,
            int((now - self._started) * 1000),
            shell.clients,
            [_node_report(node, traffic, now, in_rotation=node in table.rotation) for node in table.nodes],
            now=time_words(self._wall()),
            health=health(table, wrong),
            problems=wrong,
            requests_per_second=round(traffic.all.per_second, 3),
            p50_ms=traffic.all.p50_ms,
            p99_ms=traffic.all.p99_ms,
            failed_per_second=round(traffic.failed_per_second, 3),
            overloaded_per_second=round(traffic.overloaded_per_second, 3),
            in_flight=sum(node.in_flight for node in table.nodes),
            waiting=shell.waiting,
            sites=[_site_report(site, table.nodes) for site in shell.sites],
            package=shell.package,
            shortfalls=[shortfall[:MAX_NAME_CHARACTERS] for shortfall in shell.shortfalls],
            partitions=[report for number, report in shell.partitions if partition in (None, number)],
            nodes_out=nodes_out(table.nodes),
            store_members=store_members(table.nodes),
            durability=shell.durability,
        )
        return self._whole(own, traffic)

    def events(self, after: int, limit: int) -> EventsResult:
        """Return what happened after that event; of 0, the newest."""
        return EventsResult(self._proxy, self._events.newest, self._events.after(after, limit))

    def answer(self, frame: Frame, now: float, who: Bound) -> bytes:
        """Return the RESPONSE to a STATUS or EVENTS request of somebody.

        Raises:
            BodyError: the request is malformed.
        """
        if frame.opcode == Opcode.EVENTS:
            asked = decode_body(Events, frame.body)
            body = encode_body(self.events(asked.after, asked.limit))
        else:
            body = encode_body(self.result(now, None if Role.OPERATE in who.roles else who.partition))
        return encode_frame(
            kinds.RESPONSE,
            body,
            request_id=frame.request_id,
            opcode=frame.opcode,
            operation_id=frame.operation_id,
        )

    def page(self, now: float, **more: Any) -> bytes:
        """Return the JSON of `/status`: the report's fields, the newest events, and what only operators need."""
        events = [named_fields(event) for event in self._events.after(0, PAGE_EVENTS)]
        return msgspec.json.encode(named_fields(self.result(now)) | {"events": events} | more)


def _node_report(node: Node, traffic: Traffic, now: float, *, in_rotation: bool) -> NodeReport:
    flow = traffic.nodes.get(node.name, Flow())
    return NodeReport(
        node.name,
        node.site,
        node.operational,
        node.administrative,
        node.reason[:MAX_NAME_CHARACTERS],
        node.weight,
        node.in_flight,
        node.window,
        node.requests,
        sum(node.failures.values()),
        [
            PathReport(path.uplink, "up" if path.up else "down", path.reason[:MAX_NAME_CHARACTERS])
            for path in node.paths
        ],
        "; ".join(node.store_faults.values())[:MAX_NAME_CHARACTERS],
        bool(node.outdated) and node.reported == UP,
        requests_per_second=round(flow.per_second, 3),
        share=round(traffic.shares.get(node.name, 0.0), 4),
        p50_ms=flow.p50_ms,
        p99_ms=flow.p99_ms,
        since_s=round(max(0.0, now - node.since), 3),
        in_rotation=in_rotation,
        lag_records=node.lag_records if node.reached else None,
        lag_s=node.lag_s if node.reached else None,
        backend=node.backend[:MAX_NAME_CHARACTERS],
    )


def _site_report(site: Site, nodes: Iterable[Node]) -> SiteReport:
    paths = [path for node in nodes if node.site == site.name for path in node.paths]
    names = dict.fromkeys((*site.uplinks, *(path.uplink for path in paths)))  # a sandbox may leave the former out
    uplinks = []
    for name in names:
        ups = [path.up for path in paths if path.uplink == name]
        uplinks.append(UplinkReport(name, "unused" if not ups else "up" if any(ups) else "down"))
    return SiteReport(site.name, site.role, site.risk_zone, uplinks, site.latitude, site.longitude)
