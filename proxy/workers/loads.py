"""What the workers of a proxy do, added up into one report: that of one worker, with the loads of the others.

Which states nodes, paths and sites are in, each worker sees for itself, and soon they all see the same; so a report has
one worker's view of them. What there is more of with more workers is added.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from hsm_wire.limits import MAX_NAME_CHARACTERS
from hsm_wire.messages import NodeReport, StatusResult
from proxy.core.reporting.health import DEGRADED, SERVING
from proxy.core.reporting.rates import Flow, Traffic, flow_of

MAX_PROBLEMS: Final = 64
"""In one report: those of the workers are the same ones, or nearly."""
_T = TypeVar("_T")


class NodeLoad(msgspec.Struct, frozen=True, array_like=True):
    """What one worker has a node do."""

    name: str
    in_flight: int
    window: int
    requests: int
    failures: int
    per_second: float
    buckets: list[int]


class Load(msgspec.Struct, frozen=True, array_like=True):
    """What one worker does."""

    clients: int
    waiting: int
    in_flight: int
    requests: int
    failovers: int
    per_second: float
    failed_per_second: float
    overloaded_per_second: float
    buckets: list[int]
    nodes: list[NodeLoad]
    problems: list[str]


def load_of(report: StatusResult, traffic: Traffic, requests: int, failovers: int) -> Load:
    """Return what a worker does, by its own report."""
    return Load(
        report.clients,
        report.waiting,
        report.in_flight,
        requests,
        failovers,
        traffic.all.per_second,
        report.failed_per_second,
        report.overloaded_per_second,
        list(traffic.all.buckets),
        [_node_load(node, traffic.nodes.get(node.name, Flow())) for node in report.nodes],
        report.problems[:MAX_PROBLEMS],
    )


def whole(own: StatusResult, traffic: Traffic, others: Sequence[Load]) -> StatusResult:
    """Return the report of the whole proxy.

    Args:
        own: what one worker reports of itself.
        traffic: what went through it.
        others: what the other workers do.
    """
    if not others:
        return own
    flow = _flow(traffic.all, [(load.per_second, load.buckets) for load in others])
    problems = list(dict.fromkeys([*own.problems, *(problem for load in others for problem in load.problems)]))
    return msgspec.structs.replace(
        own,
        clients=own.clients + _sum(others, lambda load: load.clients),
        waiting=own.waiting + _sum(others, lambda load: load.waiting),
        in_flight=own.in_flight + _sum(others, lambda load: load.in_flight),
        requests_per_second=round(flow.per_second, 3),
        p50_ms=flow.p50_ms,
        p99_ms=flow.p99_ms,
        failed_per_second=round(own.failed_per_second + sum(load.failed_per_second for load in others), 3),
        overloaded_per_second=round(own.overloaded_per_second + sum(load.overloaded_per_second for load in others), 3),
        problems=[problem[:MAX_NAME_CHARACTERS] for problem in problems[:MAX_PROBLEMS]],
        health=DEGRADED if problems and own.health == SERVING else own.health,
        nodes=_nodes(own.nodes, traffic, others),
    )


def _nodes(own: Sequence[NodeReport], traffic: Traffic, others: Sequence[Load]) -> list[NodeReport]:
    loads: Mapping[str, list[NodeLoad]] = _by_name(node for load in others for node in load.nodes)
    added = [_node(node, traffic.nodes.get(node.name, Flow()), loads.get(node.name, [])) for node in own]
    total = sum(node.requests_per_second for node in added)
    return [
        msgspec.structs.replace(node, share=round(node.requests_per_second / total, 4) if total else 0.0)
        for node in added
    ]


def _node(own: NodeReport, traffic: Flow, others: Sequence[NodeLoad]) -> NodeReport:
    flow = _flow(traffic, [(load.per_second, load.buckets) for load in others])
    return msgspec.structs.replace(
        own,
        in_flight=own.in_flight + _sum(others, lambda load: load.in_flight),
        window=own.window + _sum(others, lambda load: load.window),
        requests=own.requests + _sum(others, lambda load: load.requests),
        failures=own.failures + _sum(others, lambda load: load.failures),
        requests_per_second=round(flow.per_second, 3),
        p50_ms=flow.p50_ms,
        p99_ms=flow.p99_ms,
    )


def _node_load(node: NodeReport, flow: Flow) -> NodeLoad:
    return NodeLoad(
        node.name, node.in_flight, node.window, node.requests, node.failures, flow.per_second, list(flow.buckets)
    )


def _by_name(loads: Iterable[NodeLoad]) -> dict[str, list[NodeLoad]]:
    found: dict[str, list[NodeLoad]] = {}
    for load in loads:
        found.setdefault(load.name, []).append(load)
    return found


def _flow(own: Flow, others: Sequence[tuple[float, Sequence[int]]]) -> Flow:
    full = [buckets for buckets in (own.buckets, *(buckets for _, buckets in others)) if buckets]
    return flow_of(
        own.per_second + sum(rate for rate, _ in others), [sum(column) for column in zip(*full, strict=True)]
    )


def _sum(loads: Iterable[_T], figure: Callable[[_T], int]) -> int:
    return sum(map(figure, loads))
