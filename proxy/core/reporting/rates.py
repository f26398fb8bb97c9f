"""How much, and how fast, over the last ten seconds: differences of counters that are there anyway.

A request pays nothing for it: twice a second the counters' values are noted, and who asks gets what they have grown
by since the note that is ten seconds old.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from hsm_wire.operations import ANSWERED_BY_PROXY
from hsm_wire.statuses import StatusClass
from proxy.core.counters import DURATION_BOUNDS_S, Counters
from proxy.core.nodes.node_table import NodeTable

WINDOW_S: Final = 10.0
"""Short enough to see a change at once, long enough that single requests do not make the figures jump."""
SAMPLE_S: Final = 0.5
"""Between notes; by so much the window may be longer."""
_SHORTEST_S: Final = 1.0
"""Of a window, while the proxy is younger: two requests in its first millisecond are no 2,000 a second."""
_FAILED: Final = frozenset({int(StatusClass.DEVICE), int(StatusClass.TRANSPORT)})
"""What the cluster owes its clients; the other classes are the caller's to mend, or overload."""
_OVERLOAD: Final = int(StatusClass.OVERLOAD)


class Flow(NamedTuple):
    """How fast something answered; times are None where nothing did."""

    per_second: float = 0.0
    p50_ms: float | None = None
    p99_ms: float | None = None
    buckets: Sequence[int] = ()
    """How many answers took how long, by `DURATION_BOUNDS_S`; empty where there were none."""


class Traffic(NamedTuple):
    """What went through in the last ten seconds."""

    all: Flow
    failed_per_second: float
    overloaded_per_second: float
    nodes: dict[str, Flow]
    shares: dict[str, float]
    """Each node's part of the answers of all nodes, 0 to 1."""


class _Note(NamedTuple):
    """Values of the counters at one time."""

    at: float
    answers: int
    failed: int
    overloaded: int
    buckets: list[int]
    nodes: dict[str, tuple[int, list[int]]]


class Rates:
    """The last ten seconds."""

    __slots__ = ("_counters", "_notes", "_table")

    def __init__(self, counters: Counters, table: NodeTable, now: float) -> None:
        self._counters = counters
        self._table = table
        self._notes: deque[_Note] = deque([self._note(now)])

    def tick(self, now: float) -> None:
        """Note the counters when it is time."""
        notes = self._notes
        if now - notes[-1].at < SAMPLE_S:
            return
        notes.append(self._note(now))
        while len(notes) > 1 and notes[1].at <= now - WINDOW_S:
            notes.popleft()

    def traffic(self, now: float) -> Traffic:
        """Return that of the window that ends now."""
        newest = self._note(now)
        oldest = self._notes[0]
        elapsed = max(_SHORTEST_S, now - oldest.at)
        nodes, grown = {}, {}
        for name, (requests, buckets) in newest.nodes.items():
            requests_then, buckets_then = oldest.nodes.get(name, (0, []))
            grown[name] = max(0, requests - requests_then)  # a node of that name that came back counts anew
            nodes[name] = _flow(grown[name] / elapsed, buckets, buckets_then)
        total = sum(grown.values())
        return Traffic(
            _flow((newest.answers - oldest.answers) / elapsed, newest.buckets, oldest.buckets),
            (newest.failed - oldest.failed) / elapsed,
            (newest.overloaded - oldest.overloaded) / elapsed,
            nodes,
            {name: count / total if total else 0.0 for name, count in grown.items()},
        )

    def _note(self, now: float) -> _Note:
        answers = overloaded = 0
        # Their class is that of failures, but the callers wished it so.
        failed = -self._counters.cancelled - self._counters.hasty
        for (opcode, status_class), count in self._counters.answers.items():
            if opcode in ANSWERED_BY_PROXY:
                continue  # who watches the cluster is no load of it
            answers += count
            if status_class in _FAILED:
                failed += count
            elif status_class == _OVERLOAD:
                overloaded += count
        nodes = {node.name: (node.requests, list(node.duration_buckets)) for node in self._table.nodes}
        return _Note(now, answers, failed, overloaded, list(self._counters.duration_buckets), nodes)


def _flow(per_second: float, now: Sequence[int], then: Sequence[int]) -> Flow:
    grown = [max(0, count - before) for count, before in zip(now, then or [0] * len(now), strict=True)]
    return flow_of(per_second, grown)


def flow_of(per_second: float, buckets: Sequence[int]) -> Flow:
    """Return the flow of so many answers, with their quantiles."""
    return Flow(
        per_second, quantile_ms(buckets, 0.5), quantile_ms(buckets, 0.99), tuple(buckets) if any(buckets) else ()
    )


def quantile_ms(buckets: Sequence[int], share: float) -> float | None:
    """Return the time below which that share of the answers lies, as Prometheus' histogram_quantile estimates it."""
    total = sum(buckets)
    if not total:
        return None
    rank = share * total
    below, lower_s = 0, 0.0
    for count, upper_s in zip(buckets, DURATION_BOUNDS_S, strict=False):
        if count and below + count >= rank:
            return round(1000 * (lower_s + (upper_s - lower_s) * (rank - below) / count), 3)
        below += count
        lower_s = upper_s
    return 1000 * lower_s
