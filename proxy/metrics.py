"""Plain counters -> Prometheus text, only when somebody asks. The hot path knows nothing of it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from types import MappingProxyType
from typing import Final, NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hsm_daemon.metrics import MetricsPage
from hsm_wire.messages import PartitionReport
from hsm_wire.opcodes import operation_name
from hsm_wire.statuses import StatusClass
from proxy.core.checks.agreement import DISAGREEMENTS, FAULTS
from proxy.core.counters import DURATION_BOUNDS_S, Counters
from proxy.core.nodes.node_table import ADMINISTRATIVE_STATES, OPERATIONAL_STATES, Node
from proxy.core.reporting.shared_store import nodes_out
from proxy.core.requests.dispatcher import Dispatcher

PREFIX: Final = "hsm_proxy"
_CLASS_NAMES = {int(row): row.name.lower() for row in StatusClass}


class Figures(NamedTuple):
    """What the core does not know."""

    configuration_hash: str
    clients: int = 0
    handshaking: int = 0
    handshakes_failed: int = 0
    connections_refused: int = 0
    stalls: int = 0
    reload_successful: bool = True
    reloaded_at: float = 0.0
    """When the configuration in use was loaded: seconds since 1970, as is
    `validity`: begin and end of the own certificate; None: no TLS."""
    validity: tuple[int, int] | None = None
    roles: Mapping[str, str] = MappingProxyType({})
    """Site -> active or disaster-recovery."""
    partitions: Sequence[PartitionReport] = ()
    shortfalls: int = 0
    """What the service package promises and the cluster does not have now."""
    usage_refused: int = 0
    """Counts told by nodes that were not believed."""


class ProxyCollector(Collector):
    """Reads the counters at the moment of a scrape."""

    def __init__(self, dispatcher: Dispatcher, figures: Callable[[], Figures]) -> None:
        self._dispatcher = dispatcher
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        dispatcher = self._dispatcher
        figures = self._figures()
        table = dispatcher.table
        yield from _place_families(table.nodes, table.rotation, figures.roles)
        yield from _work_families(table.nodes, table.rotation)
        yield from _state_families(table.nodes)
        yield from _store_families(dispatcher.table.nodes)
        yield from _request_families(dispatcher.counters)
        yield _gauge("hsm_proxy_queue_requests", "Requests that wait for a node.", dispatcher.waiting)
        waiting_bytes = dispatcher.queue.bytes + dispatcher.failover.waiting.bytes
        yield _gauge("hsm_proxy_queue_bytes", "Their bytes.", waiting_bytes)
        yield from _partition_families(figures.partitions)
        text = "What the service package promises and the cluster does not have now; `hsmctl status` names it."
        yield _gauge("hsm_proxy_package_shortfalls", text, figures.shortfalls)
        yield from _shell_families(figures)


def metrics_page(collector: ProxyCollector) -> MetricsPage:
    """Return the page `/metrics`."""
    return MetricsPage(PREFIX, collector)


def _place_families(nodes: Iterable[Node], rotation: Collection[Node], roles: Mapping[str, str]) -> Iterator[Metric]:
    """Where nodes are, and which of them are drawn from."""
    info = InfoMetricFamily("hsm_proxy_node", "Site of a node, and the site's role.", labels=["node"])
    in_rotation = GaugeMetricFamily(
        "hsm_proxy_node_in_rotation", "1 where a node is drawn for requests.", labels=["node", "site"]
    )
    for node in nodes:
        info.add_metric([node.name], {"site": node.site, "role": roles.get(node.site, "active")})
        in_rotation.add_metric([node.name, node.site], int(node in rotation))
    yield from (info, in_rotation)


def _work_families(nodes: Iterable[Node], rotation: Collection[Node]) -> Iterator[Metric]:
    """What nodes did, and what they are given."""
    requests = CounterMetricFamily("hsm_proxy_node_requests", "Answers of a node to clients.", labels=["node"])
    failures = CounterMetricFamily(
        "hsm_proxy_node_failures", "Requests that had to leave a node.", labels=["node", "reason"]
    )
    took = HistogramMetricFamily(
        "hsm_proxy_node_answer_duration_seconds",
        "From sending a request to a node to its answer, without key generation.",
        labels=["node"],
    )
    in_flight = GaugeMetricFamily("hsm_proxy_node_in_flight", "Requests with a node now.", labels=["node"])
    window = GaugeMetricFamily("hsm_proxy_node_window", "Requests that a node takes at once.", labels=["node"])
    share = GaugeMetricFamily(
        "hsm_proxy_node_share", "Part of the draw: the weight, less in a slow start or when slow.", labels=["node"]
    )
    slowness = GaugeMetricFamily(
        "hsm_proxy_node_slowness", "Factor of that share, below 1 for a node slower than the others.", labels=["node"]
    )
    for node in nodes:
        label = [node.name]
        requests.add_metric(label, node.requests)
        for reason, count in sorted(node.failures.items()):
            failures.add_metric([node.name, reason], count)
        took.add_metric(label, _cumulated(node.duration_buckets), node.answer_time_s)
        share.add_metric(label, node.share if node in rotation else 0.0)
        slowness.add_metric(label, node.slowness)
        in_flight.add_metric(label, node.in_flight)
        window.add_metric(label, node.window)
    yield from (requests, failures, took, in_flight, window, share, slowness)


def _state_families(nodes: Iterable[Node]) -> Iterator[Metric]:
    """In which states nodes and paths are."""
    state = GaugeMetricFamily("hsm_proxy_node_state", "1 for the operational state.", labels=["node", "state"])
    administrative = GaugeMetricFamily(
        "hsm_proxy_node_administrative_state", "1 for what the operator wants.", labels=["node", "state"]
    )
    path_up = GaugeMetricFamily(
        "hsm_proxy_path_up", "1 where a path answers its check.", labels=["node", "site", "path"]
    )
    path_requests = CounterMetricFamily(
        "hsm_proxy_path_requests",
        "Requests of clients that were sent to a node over a path, those sent again too.",
        labels=["node", "site", "path"],
    )
    for node in nodes:
        for name in OPERATIONAL_STATES:
            state.add_metric([node.name, name], int(node.operational == name))
        for name in ADMINISTRATIVE_STATES:
            administrative.add_metric([node.name, name], int(node.administrative == name))
        for path in node.paths:
            path_up.add_metric([node.name, node.site, path.uplink], int(path.up))
            path_requests.add_metric([node.name, node.site, path.uplink], path.requests)
    yield from (state, administrative, path_up, path_requests)


def _store_families(nodes: Sequence[Node]) -> Iterator[Metric]:
    faults = GaugeMetricFamily(
        "hsm_proxy_node_store_fault",
        "1 where a node's store lacks what another node has seen (behind), or is not that of another one.",
        labels=["node", "fault"],
    )
    lag_records = GaugeMetricFamily(
        "hsm_proxy_node_lag_records", "Writings of records that a node lacks and another one has seen.", labels=["node"]
    )
    lag = GaugeMetricFamily(
        "hsm_proxy_node_lag_seconds",
        "Age of a node's copy of the store: it has everything from before.",
        labels=["node"],
    )
    out = GaugeMetricFamily(
        "hsm_proxy_node_out",
        "1 where a node did not confirm a change and has not come back: changes name it.",
        labels=["node"],
    )
    missing = nodes_out(nodes)
    # Who is out of the configuration may be among them.
    for name in dict.fromkeys([*(node.name for node in nodes), *missing]):
        out.add_metric([name], int(name in missing))
    disagreeing = 0
    for node in nodes:
        if node.reached and node.lag_records is not None:
            lag_records.add_metric([node.name], node.lag_records)
        if node.reached and node.lag_s is not None:
            lag.add_metric([node.name], node.lag_s)
        disagreeing += any(fault in node.store_faults for fault in DISAGREEMENTS)
        for fault in FAULTS:
            faults.add_metric([node.name, fault], int(fault in node.store_faults))
    yield from (faults, lag_records, lag, out)
    text = "Nodes that were shown another store than another node: 0, or 2 and more."
    yield _gauge("hsm_proxy_store_disagreements", text, disagreeing)


def _request_families(counters: Counters) -> Iterator[Metric]:
    answers = CounterMetricFamily("hsm_proxy_requests", "Answers to clients.", labels=["operation", "status_class"])
    given = counters.answers
    # Each class of an operation that was ever asked for is there, so that its first failure is an increase.
    for opcode in sorted({opcode for opcode, _ in given}):
        operation = operation_name(opcode)
        for status_class, name in _CLASS_NAMES.items():
            answers.add_metric([operation, name], given.get((opcode, status_class), 0))
        others = sum(n for (of, row), n in given.items() if of == opcode and row not in _CLASS_NAMES)
        if others:
            answers.add_metric([operation, "unknown"], others)
    yield answers
    sanctions = CounterMetricFamily(
        "hsm_proxy_node_ejections", "Times that a connected node was taken out.", labels=["node", "reason"]
    )
    for key, count in sorted(counters.sanctions.items()):
        sanctions.add_metric(key, count)
    yield sanctions
    overloaded = CounterMetricFamily(
        "hsm_proxy_overloaded", "Requests that this proxy answered OVERLOADED, by the limit.", labels=["reason"]
    )
    for reason, count in counters.overloaded.items():
        overloaded.add_metric([reason], count)
    yield overloaded
    yield _histogram(counters)
    yield from _event_families(counters)


def _event_families(counters: Counters) -> Iterator[Metric]:
    """What happened to requests and connections, without a label."""
    for name, text, value in (
        ("failovers", "Requests sent to another node.", counters.failovers),
        ("late_responses", "Answers of nodes that came after the client had its own.", counters.late_answers),
        ("forgotten_responses", "Answers that a node owed for too long.", counters.forgotten_answers),
        ("wrong_responses", "Answers of nodes to another operation than was asked.", counters.wrong_answers),
        (
            "stale_responses",
            "Answers of stale nodes that clients had: no current one was reached.",
            counters.stale_passed,
        ),
        (
            "stale_responses_dropped",
            "Answers of stale nodes that a current one gave anew.",
            counters.stale_dropped,
        ),
        ("path_moves", "Requests that went on over another path of their node.", counters.path_moves),
        ("cancelled_requests", "Requests answered CANCELLED, at the caller's wish.", counters.cancelled),
        ("hasty_timeouts", "Requests answered TIMEOUT whose callers gave them less than 0.1 s.", counters.hasty),
        ("poisoned_requests", "Requests answered POISON: two nodes were lost with them.", counters.poisoned),
        ("banned_requests", "Requests refused because their like loses nodes.", counters.banned),
        ("retry_budget_exhausted", "Attempts that the retry budget held back.", counters.budget_empty),
        ("clients_closed_idle", "Connections sent away that asked for nothing.", counters.clients_closed_idle),
        ("protocol_errors", "Connections closed for a malformed or illegal frame.", counters.protocol_errors),
        ("clients_refused", "Connections refused: unknown identity, or too many.", counters.clients_refused),
        ("clients_closed_unfinished", "Connections whose frame had no end.", counters.clients_closed_unfinished),
        ("clients_paced", "Times that a client was not read for its control frames.", counters.clients_paced),
        ("clients_closed_unread", "Connections of clients that did not read.", counters.clients_closed_unread),
    ):
        yield CounterMetricFamily(f"hsm_proxy_{name}", text, value=value)


def _partition_families(partitions: Sequence[PartitionReport]) -> Iterator[Metric]:
    """What partitions have used, as all nodes counted it; limits only where there are some."""
    for name, text, field in (
        ("signatures", "Signatures of a partition in the last 24 hours.", "signatures"),
        ("signatures_limit", "Its quota of them.", "signatures_limit"),
        ("generations", "Keys that it generated in the last 24 hours.", "generations"),
        ("stored_keys", "Keys of a partition that are not destroyed.", "stored_keys"),
        ("stored_keys_limit", "Its quota of them.", "stored_limit"),
    ):
        family = GaugeMetricFamily(f"hsm_proxy_partition_{name}", text, labels=["partition"])
        for partition in partitions:
            value: int | None = getattr(partition, field)
            if value is not None:
                family.add_metric([partition.name], value)
        yield family
    refused = CounterMetricFamily(
        "hsm_proxy_partition_refused", "Requests that this proxy answered OVER_QUOTA.", labels=["partition"]
    )
    for partition in partitions:
        refused.add_metric([partition.name], partition.refused)
    yield refused


def _shell_families(figures: Figures) -> Iterator[Metric]:
    yield _gauge("hsm_proxy_clients", "Connections of clients.", figures.clients)
    yield _gauge("hsm_proxy_handshakes_in_progress", "TLS handshakes of clients going on.", figures.handshaking)
    for name, text, value in (
        ("handshakes_failed", "TLS handshakes of clients that failed.", figures.handshakes_failed),
        ("connections_refused", "Connections closed unheard: limit clients.", figures.connections_refused),
        ("usage_rows_refused", "Counts told by nodes that cannot be: not believed.", figures.usage_refused),
        ("stalls", "Times that the proxy itself stood still.", figures.stalls),
    ):
        yield CounterMetricFamily(f"hsm_proxy_{name}", text, value=value)
    yield InfoMetricFamily(
        "hsm_proxy_configuration", "The cluster configuration in use.", {"hash": figures.configuration_hash}
    )
    yield _gauge(
        "hsm_proxy_configuration_last_reload_successful",
        "0 when the last reload found a fault and changed nothing.",
        int(figures.reload_successful),
    )
    yield _gauge(
        "hsm_proxy_configuration_last_reload_seconds",
        "When the configuration in use was loaded, since 1970.",
        figures.reloaded_at,
    )
    if figures.validity is not None:
        begin, end = figures.validity
        yield _gauge(
            "hsm_proxy_certificate_not_before_seconds", "When this proxy's certificate begins, since 1970.", begin
        )
        yield _gauge(
            "hsm_proxy_certificate_not_after_seconds", "When this proxy's certificate expires, since 1970.", end
        )


def _histogram(counters: Counters) -> Metric:
    return HistogramMetricFamily(
        "hsm_proxy_request_duration_seconds",
        "From a request's arrival to its answer; not of those refused at once.",
        buckets=_cumulated(counters.duration_buckets),
        sum_value=counters.duration_sum_s,
    )


def _cumulated(counts: Sequence[int]) -> list[tuple[str, float]]:
    """Return buckets as Prometheus has them: each with all that is in those below it."""
    bounds = (*map(str, DURATION_BOUNDS_S), "+Inf")
    return list(zip(bounds, accumulate(counts), strict=True))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
