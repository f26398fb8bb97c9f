"""The figures of several workers as one: what `/metrics` of the parent shows.

Counters and histograms are added; what a worker had counted when it ended stays, so that no sum ever falls. Of gauges
`GAUGES` says what the figure of the whole is. A state is that of the worker that sees it worst: whoever is alerted is
so before the last worker has found out. What tells of versions and places is shown once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec
from prometheus_client.metrics_core import Metric

from proxy.core.nodes.node_table import (
    ADMINISTRATIVE_STATES,
    LACKING,
    OPERATIONAL_STATES,
    PROBING,
    READY,
    STALE,
    STANDBY,
    UP,
)

Sample = tuple[str, dict[str, str], float]
"""Name, labels, value."""
Labels = tuple[tuple[str, str], ...]

GAUGES: Final[Mapping[str, Callable[[Iterable[float]], float]]] = {
    "certificate_not_after_seconds": min,
    "certificate_not_before_seconds": max,
    "clients": sum,
    "clock_seconds": max,
    "configuration_last_reload_seconds": min,
    "configuration_last_reload_successful": min,
    "handshakes_in_progress": sum,
    "metrics_page_seconds": max,
    "node_in_flight": sum,
    "node_in_rotation": min,
    "node_lag_records": max,
    "node_lag_seconds": max,
    "node_out": max,
    "node_share": min,
    "node_slowness": min,
    "node_store_fault": max,
    "node_window": sum,
    "package_shortfalls": max,
    "partition_generations": max,
    "partition_signatures": max,
    "partition_signatures_limit": max,
    "partition_stored_keys": max,
    "partition_stored_keys_limit": max,
    "path_up": min,
    "process_max_fds": min,
    "process_open_fds": max,
    "process_resident_memory_bytes": sum,
    "process_start_time_seconds": min,
    "queue_bytes": sum,
    "queue_requests": sum,
    "store_disagreements": max,
}
"""Name without the prefix -> how the figures of the workers become one. Of open files the process that has most of
them counts, since each has a limit of its own."""
_MILD: Final = (UP, STANDBY, LACKING, STALE, PROBING)
STATES: Final[Mapping[str, tuple[str, ...]]] = {
    "node_state": (*_MILD, *(state for state in OPERATIONAL_STATES if state not in _MILD)),
    "node_administrative_state": (READY, *(state for state in ADMINISTRATIVE_STATES if state != READY)),
}
"""One-hot gauges, and their states from the best to the worst."""
_ADDED: Final = ("counter", "histogram")


class Family(msgspec.Struct, frozen=True, array_like=True):
    """One family of metrics of one process."""

    name: str
    kind: str
    text: str
    samples: list[Sample]


def families_of(metrics: Iterable[Metric]) -> list[Family]:
    """Return families as they are told."""
    return [
        Family(metric.name, metric.type, metric.documentation, [(s.name, s.labels, s.value) for s in metric.samples])
        for metric in metrics
    ]


class Sums:
    """The figures of all processes of one proxy."""

    def __init__(self, prefix: str) -> None:
        self._prefix = f"{prefix}_"
        self._told: dict[int, list[Family]] = {}
        """Process -> its newest figures."""
        self._past: dict[str, Family] = {}
        """What those that have ended had counted."""

    def take(self, process: int, families: list[Family]) -> None:
        """Take the newest figures of a process."""
        self._told[process] = families

    def ended(self, process: int) -> None:
        """Keep what a process had counted; the rest went with it."""
        for family in self._told.pop(process, []):
            if family.kind in _ADDED:
                before = self._past.get(family.name)
                parts = [family.samples] if before is None else [before.samples, family.samples]
                self._past[family.name] = msgspec.structs.replace(family, samples=_combined(parts, sum))

    def total(self) -> Iterator[Metric]:
        """Yield all families, each with the figures of all."""
        found: dict[str, list[Family]] = {}
        for family in (family for told in (self._past.values(), *self._told.values()) for family in told):
            found.setdefault(family.name, []).append(family)
        for name, families in found.items():
            first = families[0]
            metric = Metric(name, first.text, first.kind)
            for sample, labels, value in self._as_one(first, [family.samples for family in families]):
                metric.add_sample(sample, labels, value)
            yield metric

    def of(self, process: int, name: str) -> float:
        """Return the sum of all samples of that name of one process."""
        return sum(
            value for family in self._told.get(process, []) for sample, _, value in family.samples if sample == name
        )

    def _as_one(self, family: Family, parts: list[list[Sample]]) -> list[Sample]:
        name = family.name.removeprefix(self._prefix)
        if family.kind in _ADDED:
            return _combined(parts, sum)
        if name in STATES:
            return _worst(parts, STATES[name])
        return _combined(parts, GAUGES.get(name, max))


def _combined(parts: Iterable[list[Sample]], rule: Callable[[Iterable[float]], float]) -> list[Sample]:
    """Return each sample once, with the figure that the rule makes of all of its figures."""
    values: dict[tuple[str, Labels], list[float]] = {}
    for samples in parts:
        for name, labels, value in samples:
            values.setdefault((name, tuple(labels.items())), []).append(value)
    return [(name, dict(labels), rule(figures)) for (name, labels), figures in values.items()]


def _worst(parts: Iterable[list[Sample]], order: tuple[str, ...]) -> list[Sample]:
    """Return, for each of which there is a state, the samples of the part whose state is the worst one."""
    chosen: dict[Labels, tuple[int, list[Sample]]] = {}
    for samples in parts:
        groups: dict[Labels, list[Sample]] = {}
        for sample in samples:
            whose = tuple((label, value) for label, value in sample[1].items() if label != "state")
            groups.setdefault(whose, []).append(sample)
        for whose, group in groups.items():
            state = next((labels["state"] for _, labels, value in group if value), order[0])
            rank = order.index(state) if state in order else len(order)
            if whose not in chosen or rank > chosen[whose][0]:
                chosen[whose] = (rank, group)
    return [sample for _, group in chosen.values() for sample in group]
