"""What proxies say, made up: for tests of what is shown of it."""

from typing import Any

import msgspec

from hsm_client.config import ProxyAddress
from hsm_client.errors import ClusterUnreachable
from hsm_wire.messages import EventReport, NodeReport, PathReport, SiteReport, StatusResult, UplinkReport
from hsmctl.overview.merging import View, merged
from hsmctl.overview.observer import Look
from hsmctl.proxies import Answer

NOW = "2026-11-30T04:12:31.5Z"
NOW_S = 1_796_011_951.5


def path(uplink: str = "isp-a", state: str = "up", reason: str = "") -> PathReport:
    return PathReport(uplink, state, reason)


def node(name: str = "zrh-1", **changes: Any) -> NodeReport:
    """Return a node that serves, changed."""
    healthy = NodeReport(
        name, "zurich", "up", "ready", "", 1, 3, 64, 1200, 0, [path(), path("isp-b")],
        requests_per_second=50.0, share=0.5, p50_ms=0.8, p99_ms=4.25, since_s=3700.0, in_rotation=True,
    )  # fmt: skip
    return msgspec.structs.replace(healthy, **changes)


def down(name: str, **changes: Any) -> NodeReport:
    """Return a node that does not serve."""
    lost = {"state": "down", "in_rotation": False, "reason": "connection refused", "share": 0.0}
    idle = {"requests_per_second": 0.0, "p50_ms": None, "p99_ms": None, "paths": [path(state="down")]}
    return node(name, **{**lost, **idle, **changes})


def site(name: str = "zurich", uplinks: tuple[str, ...] = ("up", "up"), role: str = "active") -> SiteReport:
    named = [UplinkReport(f"isp-{letter}", state) for letter, state in zip("ab", uplinks, strict=False)]
    return SiteReport(name=name, role=role, risk_zone="CH-ZH", uplinks=named, latitude=47.4, longitude=8.5)


def report(*nodes: NodeReport, **changes: Any) -> StatusResult:
    """Return a proxy's report on these nodes (or on two that serve), changed."""
    seen = list(nodes) or [node("zrh-1"), node("gva-1", site="geneva")]
    made = StatusResult(
        "proxy-1", "zurich", "payments", "hsm-proxy 0.1.0", 90_000, 16, seen, now=NOW, health="serving",
        requests_per_second=100.0, p50_ms=0.8, p99_ms=4.25, in_flight=6, sites=[site(), site("geneva")],
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def address(port: int = 2410) -> ProxyAddress:
    return ProxyAddress("10.0.0.1", port)


def event(number: int = 1, what: str = "zrh-1 left the rotation", **changes: Any) -> EventReport:
    made = EventReport(number, f"2026-11-30T04:12:{number:02}.0Z", "warning", "zurich", "zrh-1", what)
    return msgspec.structs.replace(made, **changes)


def look(seen: StatusResult | None = None, *events: EventReport, port: int = 2410) -> Look:
    """Return the look at a proxy that answers."""
    return Look(address(port), seen or report(), None, events, events)


def silent(port: int = 2411, fault: str = "proxy 10.0.0.1:2411 cannot be reached: Connection refused") -> Look:
    """Return the look at a proxy that does not."""
    return Look(address(port), None, ClusterUnreachable(fault))


def answer(seen: StatusResult | None = None, port: int = 2410, **changes: Any) -> Answer[StatusResult]:
    """Return a proxy's answer to STATUS, got at NOW."""
    made: Answer[StatusResult] = Answer(address(port), seen or report(), None, "ab" * 32, NOW_S, 0.01)
    return msgspec.structs.replace(made, **changes)


def view(*looks: Look) -> View:
    """Return the view of one proxy that serves, or of these."""
    return merged(looks or (look(),))


def text(lines: Any) -> str:
    """Return lines of a page as text."""
    return "\n".join(line.plain.rstrip() for line in lines)
