"""One view of the cluster from what several proxies say.

Rates and requests in flight are added up: each proxy counts its own. Times are those of the slowest: percentiles
cannot be added. Of a node's state the worst is shown, and by which proxies, where they differ.
"""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from hsm_wire.messages import NodeReport, SiteReport, StatusResult
from hsmctl.overview.observer import Look

READY: Final = "ready"
UP: Final = "up"
STALE: Final = "stale"
STANDBY: Final = "standby"
Health = Literal["serving", "degraded", "down"]
HEALTHS: Final[tuple[Health, ...]] = ("serving", "degraded", "down")


class PathView(msgspec.Struct, frozen=True):
    """One way to a node."""

    uplink: str
    up: int
    """How many proxies reach the node over it..."""
    of: int
    """...of how many that were asked."""
    reason: str = ""


class NodeView(msgspec.Struct, frozen=True):
    """One node."""

    name: str
    site: str
    state: str
    administrative: str
    reason: str
    since_s: float
    in_rotation: int
    """How many proxies give it requests..."""
    of: int
    """...of how many that were asked."""
    per_second: float
    share: float
    p50_ms: float | None
    p99_ms: float | None
    in_flight: int
    window: int
    requests: int
    moved: int
    store_fault: str
    paths: tuple[PathView, ...]
    lag_records: int | None = None
    """By the proxy that sees it furthest behind, as is:"""
    lag_s: float | None = None
    backend: str = ""
    """Where its keys are; empty: it has not said."""


class View(msgspec.Struct, frozen=True):
    """What pages are made from."""

    cluster: str
    health: Health
    problems: tuple[str, ...]
    looks: tuple[Look, ...]
    nodes: tuple[NodeView, ...]
    sites: tuple[SiteReport, ...]
    per_second: float = 0.0
    failed_per_second: float = 0.0
    overloaded_per_second: float = 0.0
    p50_ms: float | None = None
    p99_ms: float | None = None
    in_flight: int = 0
    waiting: int = 0
    clients: int = 0

    @property
    def serves(self) -> bool:
        """Whether some proxy and some node take requests."""
        return self.health != "down"

    @property
    def in_rotation(self) -> int:
        """How many nodes get requests from some proxy."""
        return sum(node.in_rotation > 0 for node in self.nodes)

    @property
    def drained(self) -> bool:
        """Whether operators have taken out every node that is up."""
        up = [node for node in self.nodes if node.state == UP]
        return bool(up) and all(node.administrative != READY for node in up)


def merged(looks: Iterable[Look]) -> View:
    """Return the view; that of a cluster without a name where no proxy answered."""
    looks = tuple(looks)
    reports = [look.report for look in looks if look.report is not None]
    health = _health(looks, reports)
    nodes = tuple(_node([node for report in reports for node in report.nodes if node.name == name], reports)
                  for name in dict.fromkeys(node.name for report in reports for node in report.nodes))  # fmt: skip
    return View(
        cluster=reports[0].cluster if reports else "",
        health=health,
        problems=tuple(_problems(looks)),
        looks=looks,
        nodes=nodes,
        sites=_sites(reports),
        per_second=sum(report.requests_per_second for report in reports),
        failed_per_second=sum(report.failed_per_second for report in reports),
        overloaded_per_second=sum(report.overloaded_per_second for report in reports),
        p50_ms=_worst(report.p50_ms for report in reports),
        p99_ms=_worst(report.p99_ms for report in reports),
        in_flight=sum(report.in_flight for report in reports),
        waiting=sum(report.waiting for report in reports),
        clients=sum(report.clients for report in reports),
    )


def health_of(report: StatusResult) -> Health:
    """Return how one proxy's view of the cluster is; worked out here where the proxy is too old to say."""
    for known in HEALTHS:
        if report.health == known:
            return known
    serving = [node for node in report.nodes if gets_requests(node)]
    if not serving:
        return "down"
    return "serving" if len(serving) == len(report.nodes) else "degraded"


def gets_requests(node: NodeReport) -> bool:
    """Whether a proxy gives that node requests. An outdated node serves where no other one does."""
    up = node.state == UP or (node.outdated and node.state == STALE)
    return node.in_rotation or (up and node.administrative_state == READY)


def _health(looks: tuple[Look, ...], reports: list[StatusResult]) -> Health:
    seen = [health_of(report) for report in reports]
    if all(health == "down" for health in seen):
        return "down"
    return "serving" if len(seen) == len(looks) and set(seen) == {"serving"} else "degraded"


def _problems(looks: tuple[Look, ...]) -> list[str]:
    silent = [f"proxy {look.address} does not answer" for look in looks if look.report is None]
    told: dict[str, list[str]] = {}
    reports = [look.report for look in looks if look.report is not None]
    for report in reports:
        for problem in report.problems:
            told.setdefault(problem, []).append(report.proxy)
    several = len(reports) > 1
    return silent + [
        f"{problem} (seen by {', '.join(proxies)})" if several and len(proxies) < len(reports) else problem
        for problem, proxies in told.items()
    ]


def _node(seen: list[NodeReport], reports: list[StatusResult]) -> NodeView:
    worst = min(seen, key=gets_requests)
    total = sum(report.requests_per_second for report in reports)
    rates = sum(node.requests_per_second for node in seen)
    share = seen[0].share if len(seen) == 1 else (rates / total if total else 0.0)
    return NodeView(
        name=worst.name,
        site=worst.site,
        state=worst.state,
        administrative=worst.administrative_state,
        reason=worst.reason,
        since_s=worst.since_s,
        in_rotation=sum(map(gets_requests, seen)),
        of=len(seen),
        per_second=rates,
        share=min(share, 1.0),
        p50_ms=_worst(node.p50_ms for node in seen),
        p99_ms=_worst(node.p99_ms for node in seen),
        in_flight=sum(node.in_flight for node in seen),
        window=sum(node.window for node in seen),
        requests=sum(node.requests for node in seen),
        moved=sum(node.failures for node in seen),
        store_fault=next((node.store_fault for node in seen if node.store_fault), ""),
        paths=_paths(seen),
        lag_records=max((node.lag_records for node in seen if node.lag_records is not None), default=None),
        lag_s=_worst(node.lag_s for node in seen),
        backend=next((node.backend for node in seen if node.backend), ""),
    )


def _paths(seen: list[NodeReport]) -> tuple[PathView, ...]:
    paths = [path for node in seen for path in node.paths]
    return tuple(
        PathView(
            uplink,
            sum(path.state == UP for path in paths if path.uplink == uplink),
            sum(path.uplink == uplink for path in paths),
            next((path.reason for path in paths if path.uplink == uplink and path.reason), ""),
        )
        for uplink in dict.fromkeys(path.uplink for path in paths)
    )


def _sites(reports: list[StatusResult]) -> tuple[SiteReport, ...]:
    found: dict[str, SiteReport] = {}
    for site in (site for report in reports for site in report.sites):
        found.setdefault(site.name, site)
    return tuple(found.values())


def _worst(times: Iterable[float | None]) -> float | None:
    return max((time for time in times if time is not None), default=None)
