"""Reports and families of metrics as workers make them."""

from hsm_wire.messages import NodeReport, StatusResult
from proxy.core.counters import DURATION_BOUNDS_S
from proxy.core.reporting.rates import Traffic, flow_of
from proxy.workers.loads import load_of
from proxy.workers.sums import Family

P = "hsm_proxy"


def counter(value, **labels):
    return Family(f"{P}_requests", "counter", "text", [(f"{P}_requests_total", labels, value)])


def gauge(name, value, **labels):
    return Family(f"{P}_{name}", "gauge", "text", [(f"{P}_{name}", labels, value)])


NODES = ("n1", "n2")


def buckets(*counts):
    return list(counts) + [0] * (len(DURATION_BOUNDS_S) + 1 - len(counts))


def report(clients=1, rate=10.0, problems=(), health="serving", node_rate=5.0):
    nodes = [
        NodeReport(name, "s", "up", "ready", "", 1, 2, 8, 100, 1, [], requests_per_second=node_rate, share=0.5)
        for name in NODES
    ]
    return StatusResult(
        "p", "s", "t", "v", 1000, clients, nodes, health=health, problems=list(problems), requests_per_second=rate,
        failed_per_second=0.5, overloaded_per_second=0.25, in_flight=4, waiting=3,
    )  # fmt: skip


def traffic(rate=10.0, counts=(4, 6), node_rate=5.0):
    flow = flow_of(node_rate, buckets(*counts))
    return Traffic(flow_of(rate, buckets(*counts)), 0.5, 0.25, dict.fromkeys(NODES, flow), dict.fromkeys(NODES, 0.5))


def load(**more):
    return load_of(report(**more), traffic(more.get("rate", 10.0), node_rate=more.get("node_rate", 5.0)), 50, 5)
