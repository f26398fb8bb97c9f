"""What a scrape costs a proxy's event loop: python -m bench.scrape [NODES]

The worst page there is: every operation was asked for and ended in every class of status, every node has two paths and
failed for several reasons, and many connections are open. Only making the page is measured; sending it is one write.
"""

import os
import random
import statistics
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from hsm_daemon import clock
from hsm_wire.messages import PartitionReport
from hsm_wire.operations import OPERATIONS
from hsm_wire.statuses import StatusClass
from proxy.core.counters import Counters
from proxy.core.nodes.node_table import Node, NodeTable
from proxy.core.requests.balancer import Balancer
from proxy.core.requests.dispatcher import Dispatcher
from proxy.core.settings import Settings
from proxy.metrics import Figures, ProxyCollector, metrics_page

NODES = 4
ROUNDS = 200
CONNECTIONS = 1_000
REASONS = ("lost", "timeout", "device_error", "not_current", "going_away")
PATHS = ("a", "b")
VALUE_BYTES = 6
"""Of a figure on a page, as most are: counts of millions, seconds with a few decimals."""
BUDGET_S = 0.005


class Cost(NamedTuple):
    """Of making the page."""

    samples: int
    bytes: int
    median_s: float
    worst_s: float


def full_page(
    nodes: int = NODES,
    partitions: int = 0,
    *,
    paths: Collection[str] = PATHS,
    operations: Collection[int] = OPERATIONS,
    reasons: Collection[str] = REASONS,
) -> ProxyCollector:
    """Return a proxy's collector that has as much to tell as it can, of these operations that were asked for."""
    rows = [Node(f"node-{n}", f"site-{n}", 1, [(uplink, f"h:{uplink}") for uplink in paths]) for n in range(nodes)]
    reports = [PartitionReport(f"partition-{n}", 0, 0, 0, 0, 1, 1, 1) for n in range(partitions)]
    settings, counters = Settings(), Counters()
    table = NodeTable(rows, settings, 0.0)
    for node in rows:
        node.failures = dict.fromkeys(reasons, 1)
    for opcode in operations:
        for row in StatusClass:
            counters.answered(opcode, row << 8, 0.001)
    dispatcher = Dispatcher(
        table, Balancer(table, random.Random(1)), settings, counters, 0.0, lambda _f, _now, _who: b""
    )
    return ProxyCollector(dispatcher, lambda: Figures("hash", validity=(0, 1), partitions=reports))


def series(page: bytes) -> int:
    """Return how many series a page has."""
    return sum(not line.startswith(b"#") for line in page.splitlines())


def usual_bytes(page: bytes) -> int:
    """Return how long a page is if every figure has VALUE_BYTES: the same at any time of the day."""
    lines = page.splitlines()
    figures = [len(line.rpartition(b" ")[2]) for line in lines if not line.startswith(b"#")]
    return len(page) - sum(figures) + VALUE_BYTES * len(figures)


@contextmanager
def descriptors(number: int) -> Iterator[None]:
    """Hold so many open: they are counted for the page."""
    taken = [os.dup(0) for _ in range(number)]
    try:
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)


def measure(nodes: int = NODES, rounds: int = ROUNDS, connections: int = CONNECTIONS) -> Cost:
    """Make the page so often; return what that costs, in processor time of the thread."""
    page = metrics_page(full_page(nodes))
    took = []
    with descriptors(connections):
        for _ in range(rounds):
            began = clock.thread_s()
            text = page.text()
            took.append(clock.thread_s() - began)
    return Cost(series(text), len(text), statistics.median(took), max(took))


def main(arguments: list[str]) -> int:
    """Print it; exit 1 where the median is above the budget."""
    nodes = int(arguments[0]) if arguments else NODES
    cost = measure(nodes)
    print(
        f"{nodes} nodes, {CONNECTIONS} connections: {cost.samples} samples, {cost.bytes} bytes, "
        f"median {cost.median_s * 1000:.2f} ms, worst {cost.worst_s * 1000:.2f} ms of the loop "
        f"(budget {BUDGET_S * 1000:g} ms)"
    )
    return int(cost.median_s > BUDGET_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
