"""Plain integers on the way of a request; metric families only when somebody asks."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hsm_daemon.metrics import MetricsPage
from hsm_wire.opcodes import Opcode, operation_name
from hsm_wire.statuses import StatusClass

PREFIX: Final = "hsm_node"
_KNOWN: Final = frozenset(map(int, Opcode))
_USAGE: Final = int(Opcode.USAGE)
"""No work: proxies ask for it every second, and it must not hide that nothing else is done."""
_CLASS_NAMES = {int(row): row.name.lower() for row in StatusClass}


class RequestCounts:
    """Answers by operation and status class."""

    __slots__ = ("answers", "completed", "total")

    def __init__(self) -> None:
        self.completed = 0
        """Answers for which work was done: what PONG tells of this node's progress."""
        self.total = 0
        """All answers: what the loop's time is shared among."""
        self.answers: dict[tuple[int, int], int] = {}

    def answered(self, opcode: int, status: int, *, done: bool) -> None:
        """Count one answer. Opcodes that nobody knows share one place: a stranger must not grow this table.

        `done`: work was done for it. Only that is progress: who refuses, fails, or cancels what waits stands still.
        """
        self.total += 1
        self.completed += done and opcode != _USAGE
        place = (opcode if opcode in _KNOWN else 0, status >> 8)
        self.answers[place] = self.answers.get(place, 0) + 1


class Gauge:
    """A number that is read when somebody asks."""

    __slots__ = ("counts", "name", "read", "text")

    def __init__(self, name: str, text: str, read: Callable[[], float], *, counts: bool = False) -> None:
        self.name = name
        self.text = text
        self.read = read
        self.counts = counts
        """Whether it only grows."""


class Labels(NamedTuple):
    """One family, by the values of one label."""

    name: str
    text: str
    label: str
    values: dict[str, float]
    counts: bool = False
    """Whether they only grow."""


class NodeMetrics(Collector):
    """Makes the families `hsm_node_*`."""

    def __init__(self, requests: RequestCounts, gauges: list[Gauge], labelled: Callable[[], Iterable[Labels]]) -> None:
        self._requests = requests
        self.gauges = gauges
        """Others after the node was unsealed."""
        self._labelled = labelled
        self._page = MetricsPage(PREFIX, self)

    def page(self) -> bytes:
        """Return the text for /metrics."""
        return self._page.text()

    def collect(self) -> Iterator[Metric]:
        """Return the families as they are now."""
        answers = CounterMetricFamily("hsm_node_requests", "Requests answered.", labels=("operation", "status_class"))
        for (opcode, status_class), count in sorted(self._requests.answers.items()):
            labels = (operation_name(opcode), _CLASS_NAMES.get(status_class, "unknown"))
            answers.add_metric(labels, count)
        yield answers
        for gauge in self.gauges:
            family = CounterMetricFamily if gauge.counts else GaugeMetricFamily
            yield family(f"hsm_node_{gauge.name}", gauge.text, value=gauge.read())
        for row in self._labelled():
            by_label: CounterMetricFamily | GaugeMetricFamily
            if row.counts:
                by_label = CounterMetricFamily(f"hsm_node_{row.name}", row.text, labels=(row.label,))
            else:
                by_label = GaugeMetricFamily(f"hsm_node_{row.name}", row.text, labels=(row.label,))
            for label, value in row.values.items():
                by_label.add_metric((label,), value)
            yield by_label
