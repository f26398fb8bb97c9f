"""Makes the tables of docs/scale.md, between its marks, as `document` does those of docs/performance.md."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench import costs, kept
from bench.capacity_model import Installation, Load, binding, loads
from bench.costs import Costs
from bench.scale_study import PLANS, STORMS
from bench.tables import figure, filled, table
from hsm_node.core.limits import DEFAULTS as NODE_LIMITS
from hsm_node.keystore import GENERATION_THREADS
from proxy.core.settings import Limits
from proxy.net.listener import BACKLOG

PAGE: Final = kept.DOCS / "scale.md"
Row = dict[str, Any]
TYPICAL: Final = {
    "2 nodes, 50 clients": Installation(50, 4.0, proxies=2, nodes=2, keys=1_000, partitions=2),
    "3 nodes, 1,000 clients": Installation(1_000, 4.0, proxies=3, nodes=3, keys=10_000),
    "4 nodes, 8 proxies, 10,000 clients": Installation(10_000, 2.0, proxies=8, nodes=4, keys=100_000),
}
LARGEST: Final = "4 nodes, 8 proxies, 10,000 clients"
SHOWN: Final = (
    *("a proxy's requests", "a proxy's processor"),
    "connections to a proxy",
    "a proxy's memory",
    "a proxy's open files, by process",
    "until those of a lost proxy are back",
    *("a node's requests", "a node's processor", "a node's memory"),
    "links between proxies and nodes",
    "series of all metrics",
    "one scrape of all pages",
)
"""Of the first table; the second one has all."""


def needed(found: Costs) -> str:
    """Return what typical installations use."""
    all_loads = [{load.what: load for load in loads(each, found)} for each in TYPICAL.values()]
    lines = [
        ["requests a second of all clients", *(figure(each.rate, 0) for each in TYPICAL.values())],
        ["proxies x workers", *(f"{each.proxies} x {each.workers}" for each in TYPICAL.values())],
        ["nodes x sessions", *(f"{each.nodes} x {each.sessions}" for each in TYPICAL.values())],
        *([name, *(_used(of[name]) for of in all_loads)] for name in SHOWN),
        ["requests a second until more is needed", *(_most(each, found) for each in TYPICAL.values())],
        ["then one more", *(_scarce(each, found) for each in TYPICAL.values())],
    ]
    return table(["", *TYPICAL], lines)


def limits(found: Costs) -> str:
    """Return every limit, how far the largest installation is from it, and its knob."""
    ordered = sorted(loads(TYPICAL[LARGEST], found), key=lambda load: -load.share)
    lines = [
        [load.what, _used(load), _limit(load), f"{load.share:.0%}" if load.limit else "", load.knob] for load in ordered
    ]
    return table(["", "used", "limit", "", "what moves it"], lines)


def fixed() -> str:
    """Return the limits whose use does not follow from an installation's numbers."""
    mine, its = Limits(), NODE_LIMITS
    proxy, node = "proxy.toml `[limits]", "node.toml `[limits]"
    lines = [
        [
            "key generations of one partition in flight at a proxy",
            figure(mine.partition_generations, 0),
            f"{GENERATION_THREADS} thread of each node makes them; more are answered OVERLOADED",
            f"{proxy} partition_generations`",
        ],
        [
            "key generations that wait at a node",
            figure(its.waiting_generations, 0),
            "the same",
            f"{node} waiting_generations`",
        ],
        [
            "requests that wait in a proxy",
            f"{mine.queue_requests:,}, {mine.queue_bytes >> 20} MiB",
            "above it whoever has most of them hears OVERLOADED",
            f"{proxy} queue_requests`, `queue_bytes`",
        ],
        [
            "dear operations that wait in a node",
            figure(its.waiting_sessions, 0),
            f"windows let in about as many as {its.window_wait_s * 1000:g} ms of work",
            f"{node} waiting_sessions`",
        ],
        [
            "changes that wait in a node",
            figure(its.waiting_changes, 0),
            "each is a transaction of the store, between sites of tens of milliseconds",
            f"{node} waiting_changes`",
        ],
        [
            "changes of one partition at a node at once",
            figure(its.partition_changes_burst, 0),
            f"then {its.partition_changes_per_s:g} a second: three partitions that never pause fill an etcd of 4 GiB",
            f"{node} partition_changes_burst`; etcd.yaml `quota-backend-bytes`, `auto-compaction-retention`",
        ],
        [
            "records under a new master key",
            f"{its.rewraps_per_s:g} a second",
            f"100,000 keys take {100_000 / its.rewraps_per_s / 60:.0f} minutes",
            f"{node} rewraps_per_s`",
        ],
        [
            "objects of one partition",
            f"{its.object_bytes >> 20} MiB",
            "every node holds all of them in memory",
            f"{node} object_bytes`",
        ],
        [
            "connections that wait for a proxy in the kernel",
            figure(BACKLOG, 0),
            "who finds no room knocks again a second later",
            "hsm-proxy.socket `Backlog`; `net.core.somaxconn`",
        ],
        [
            "connections that a proxy takes in a second",
            f"{mine.handshakes_per_s:g}",
            f"after the first {mine.handshakes_crowd:,} of a crowd {mine.handshakes_sustained_per_s:g}",
            f"{proxy} handshakes_per_s`, `handshakes_crowd`, `handshakes_sustained_per_s`",
        ],
    ]
    return table(["", "limit", "what it means", "what moves it"], lines)


def largest(found: Costs) -> str:
    """Return what comes to its limit first as the largest installation grows further."""
    base = TYPICAL[LARGEST]
    grown = {
        "as above": base,
        "four workers in each proxy": base._replace(workers=4),
        "eight workers in each proxy": base._replace(workers=8),
        "50 requests a second of each client": base._replace(requests_per_s=50.0),
        "RSA-2048 instead of P-256": base._replace(operation="RSA-2048 signature"),
        "RSA-2048, 16 sessions": base._replace(operation="RSA-2048 signature", sessions=16),
        "one identity for all clients": base._replace(identities=1),
        "40,000 clients": base._replace(clients=40_000),
        "2 proxies": base._replace(proxies=2),
    }
    lines = []
    for name, installation in grown.items():
        first = binding(loads(installation, found))
        lines.append([name, first.what, _used(first), _limit(first), f"{first.share:.0%}", first.knob])
    return table(["", "first at its limit", "used", "limit", "", "what moves it"], lines)


def measured_costs(found: Costs) -> str:
    """Return the costs that all of this is made of."""
    lines = [
        ["a request at a proxy, mTLS, 128 bytes, 1,000 connections", _us(found.proxy_s(1_000, 1, 128, tls=True))],
        ["the same, 64 connections with 16 in flight each", _us(found.proxy_s(64, 16, 128, tls=True))],
        ["the same on an idle proxy, which takes one at a time", _us(found.figure("proxy_alone_s"))],
        ["a full handshake at a proxy", _us(found.handshake_s)],
        ["an idle TLS connection at a proxy", f"{found.connection_bytes[True] / 1024:.1f} KiB"],
        *(
            [f"{name} at a node: its loop, a session", f"{_us(work.loop_s)}, {_us(work.session_s)}"]
            for name, work in sorted(found.works.items())
        ),
        ["more than that on an idle node", _us(found.figure("node_light_s"))],
        ["a proxy (or worker) without clients", f"{found.figure('proxy_bytes') / (1 << 20):.0f} MiB"],
        ["a node without keys", f"{found.figure('node_bytes') / (1 << 20):.0f} MiB"],
        ["a P-256 key at a node", f"{found.figure('key_bytes'):,.0f} bytes"],
        ["an idle proxy, three nodes", f"{found.figure('proxy_idle_cores'):.2%} of a core"],
        ["an idle node without proxies", f"{found.figure('node_idle_cores'):.2%} of a core"],
        ["the same with one proxy", f"{found.figure('node_checked_cores'):.2%} of a core"],
    ]
    return table(["", "measured"], lines)


def study(rows: Sequence[Row]) -> str:
    """Return the simulated runs."""
    by_name = {row["mode"]: row for row in rows if row.get("study") == "simulation"}
    lines = [
        [
            row["mode"],
            figure(row["rate"], 0),
            f"{row['nodes_busy']:.0%}",
            f"{row['proxies_busy']:.0%}",
            str(row["window"]),
            *(figure(row[name], 1) for name in ("p50_ms", "p99_ms", "p99_9_ms")),
            f"{row['least_share']:.1%} to {row['most_share']:.1%}",
            _failures(row),
        ]
        for row in (by_name[plan.name] for plan in PLANS if plan.name in by_name)
    ]
    head = ["", "requests a second", "nodes busy", "proxies busy", "window"]
    return table([*head, "p50 ms", "p99 ms", "p99.9 ms", "share of nodes", "failed"], lines)


def storms(rows: Sequence[Row]) -> str:
    """Return the storms of clients that come back."""
    by_name = {row["mode"]: row for row in rows if row.get("study") == "storm"}
    lines = [
        [
            f"{storm.clients:,} clients, {storm.name}",
            figure(row["lost"], 0),
            figure(row["half_s"], 1),
            figure(row["all_s"], 1),
            figure(row["never"], 0),
            figure(row["gone"], 0),
            figure(row["in_vain"], 0),
            f"{row['loop_share']:.0%}",
        ]
        for storm, row in ((storm, by_name[storm.name]) for storm in STORMS if storm.name in by_name)
    ]
    head = [
        "",
        "connections lost",
        "half are back, s",
        "all, s",
        "never",
        "given up before",
        "handshakes in vain",
        "of a proxy's loop",
    ]
    return table(head, lines)


def check(rows: Sequence[Row]) -> str:
    """Return the model beside what was measured."""
    lines = [
        [
            row["mode"],
            *(
                f"{figure(row[name], 1 if row['unit'] else 0)} {row['unit']}".strip()
                for name in ("predicted", "measured")
            ),
            f"{row['measured'] / row['predicted']:.2f}" if row["predicted"] else "-",
        ]
        for row in rows
        if row.get("study") == "check"
    ]
    days = sorted({row["day"] for row in rows if row.get("study") == "check"})
    return table(["", "predicted", "measured", "ratio"], lines) + f"\n\nMeasured on {', '.join(days) or 'no day yet'}."


def blocks(found: Costs, rows: Sequence[Row]) -> Mapping[str, Callable[[], str]]:
    """Return what makes each part of the page."""
    return {
        "needed": partial(needed, found),
        "limits": partial(limits, found),
        "fixed": fixed,
        "largest": partial(largest, found),
        "costs": partial(measured_costs, found),
        "study": partial(study, rows),
        "storms": partial(storms, rows),
        "check": partial(check, rows),
    }


def write(page: Path = PAGE) -> None:
    """Make the page's tables anew."""
    made = blocks(costs.load(), kept.load(costs.SCALE).rows)
    page.write_text(filled(page.read_text(), made))


def _most(installation: Installation, found: Costs) -> str:
    """Return how many requests a second leave every proxy and node comfortable, to two digits."""
    most = installation.rate / max(_shares(installation, found).values())
    digits = len(f"{most:.0f}") - 2
    return figure(round(most, -digits), 0)


def _scarce(installation: Installation, found: Costs) -> str:
    shares = _shares(installation, found)
    name = max(shares, key=lambda each: shares[each])
    return "worker, or proxy" if name == "a proxy's requests" else "node"


def _shares(installation: Installation, found: Costs) -> dict[str, float]:
    names = ("a proxy's requests", "a node's requests")
    return {load.what: load.share for load in loads(installation, found) if load.what in names}


def _used(load: Load) -> str:
    return f"{_amount(load.used)} {load.unit}".strip()


def _limit(load: Load) -> str:
    return "-" if load.limit is None else _amount(load.limit)


def _amount(value: float) -> str:
    return figure(value, 0 if value >= 10 or value == int(value) else 2)


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs"


def _failures(row: Row) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in row["failed"].items()) or "0"
