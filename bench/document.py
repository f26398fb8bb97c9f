"""Makes the tables of docs/performance.md and its picture from the kept rows: python -m bench.document

What people wrote stays; what stands between `<!-- made: NAME -->` and `<!-- end -->` is made here.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench import kept, picture
from bench.tables import figure, filled, table
from bench.targets import TARGETS, ratio
from bench.workloads import WORKLOADS

PAGE: Final = kept.DOCS / "performance.md"
PICTURE: Final = kept.DOCS / "performance.svg"
PEERS: Final = ("redoubt", "haproxy", "nginx", "twemproxy", "direct")
ABSENT: Final = "absent"
Row = dict[str, Any]


def _matrix(rows: list[Row]) -> list[Row]:
    return [row for row in rows if "workload" in row]


def _of(rows: list[Row], study: str) -> list[Row]:
    return [row for row in rows if row.get("study") == study]


def _who(row: Row) -> str:
    name: str = picture.NAMES.get(row["peer"], "") or row["peer"]
    return f"{name}, compiled" if row.get("build") == "compiled" else name


def _hop(row: Row) -> str:
    return "mTLS" if row["tls"] else "plain"


def machine(data: kept.Kept) -> str:
    """Return what was measured on."""
    days = sorted({row["day"] for row in data.rows})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else "never"
    return table(["", ""], [[name, value] for name, value in data.machine.items()] + [["measured on", when]])


def targets(data: kept.Kept) -> str:
    """Return each target, and how near it is."""
    rows = _matrix(data.rows)
    builds = list(dict.fromkeys(row["build"] for row in rows if row["peer"] == "redoubt")) or ["python"]
    lines = []
    for target in TARGETS:
        where = f"{target.workload}, {'mTLS' if target.tls else 'plain'}"
        found = [ratio(rows, target, build) for build in builds]
        words = [ABSENT if each is None else f"{each:.2f}" for each in found]
        best = min((each for each in found if each is not None), default=None)
        verdict = "not measured" if best is None else "met" if best <= target.at_most else "missed"
        lines.append([where, picture.NAMES[target.peer], f"{target.at_most:.2f}", *words, verdict])
    return table(["workload, 128 B", "peer", "at most", *(f"found ({build})" for build in builds), ""], lines)


def matrix(data: kept.Kept) -> str:
    """Return every cell: a table for each size, with and without TLS."""
    rows = _matrix(data.rows)
    parts = []
    for size in sorted({row["size"] for row in rows}):
        for tls in (False, True):
            of_it = [row for row in rows if row["size"] == size and row["tls"] is tls]
            if of_it:
                parts.append(
                    f"### {size:,} bytes, {'mTLS on both hops' if tls else 'plain'}\n\n{_cells(of_it, tls=tls)}"
                )
    return "\n\n".join(parts)


def _cells(rows: list[Row], *, tls: bool) -> str:
    lines = []
    for workload in WORKLOADS:
        of_it = [row for row in rows if row["workload"] == workload.name]
        if not of_it:
            continue
        ours = next((row["cpu_us_per_request"] for row in of_it if row["peer"] == "redoubt"), None)
        for peer in PEERS:
            found = [row for row in of_it if row["peer"] == peer]
            if not found and not (peer == "twemproxy" and tls):
                lines.append([workload.name, picture.NAMES.get(peer, peer), ABSENT, *["-"] * 5])
            lines += [_cell(row, ours) for row in found]
    head = [
        "workload",
        "peer",
        "CPU µs a request",
        "Redoubt : peer",
        "requests a second",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
    ]
    return table(head, lines)


def _cell(row: Row, ours: float | None) -> list[str]:
    cost = row["cpu_us_per_request"]
    share = ours / cost if ours is not None and cost else None
    latencies = (figure(row[name], 3) for name in ("p50_ms", "p99_ms", "p99_9_ms"))
    return [row["workload"], _who(row), figure(cost), figure(share), figure(row["throughput"], 0), *latencies]


def latency(data: kept.Kept) -> str:
    """Return latencies at half load, and what the balancer adds to no balancer at all."""
    rows = _of(data.rows, "latency")
    direct = {row["tls"]: row for row in rows if row["peer"] == "direct"}
    lines = []
    for row in sorted(rows, key=lambda row: (row["tls"], PEERS.index(row["peer"]))):
        without = direct.get(row["tls"])
        added = [None if without is None else row[name] - without[name] for name in ("p50_ms", "p99_ms")]
        found = [figure(row[name], 3) for name in ("p50_ms", "p99_ms", "p99_9_ms")]
        lines.append([_hop(row), _who(row), figure(row["rate"], 0), *found, *(figure(each, 3) for each in added)])
    head = ["", "peer", "requests a second", "p50 ms", "p99 ms", "p99.9 ms", "added p50", "added p99"]
    return table(head, lines)


def handshakes(data: kept.Kept) -> str:
    """Return the handshakes of a CPU-second."""
    rows = sorted(_of(data.rows, "handshakes"), key=lambda row: PEERS.index(row["peer"]))
    lines = [[_who(row), figure(row["per_cpu_second"], 0), figure(row["cpu_us_per_handshake"], 0)] for row in rows]
    return table(["peer", "full handshakes a second and core", "CPU µs for one"], lines)


def memory(data: kept.Kept) -> str:
    """Return KiB for each connection."""
    lines = [
        [_hop(row), _who(row), *(figure(row[name] / 1024, 1) for name in ("idle_bytes", "after_64_kib_bytes"))]
        for row in sorted(_of(data.rows, "memory"), key=lambda row: (row["tls"], PEERS.index(row["peer"])))
    ]
    return table(["", "peer", "KiB for an idle connection (5,000)", "KiB after 64 KiB bodies (1,000)"], lines)


def node(data: kept.Kept) -> str:
    """Return operations of a node's CPU-second beside a bare loop's."""
    lines = [
        [row["operation"], figure(row["node_per_cpu_s"], 0), figure(row["bare_per_cpu_s"], 0), f"{row['share']:.0%}"]
        for row in _of(data.rows, "node")
    ]
    return table(["operation", "a CPU-second of the node", "of a bare loop over `cryptography`", "share"], lines)


def start(data: kept.Kept) -> str:
    """Return how soon daemons are ready."""
    lines = [
        [row["program"], f"{row['keys']:,}", figure(row["clock_s"]), figure(row["cpu_s"])]
        for row in _of(data.rows, "start")
    ]
    return table(["program", "keys in the store", "seconds to ready", "CPU-seconds to ready"], lines)


def client(data: kept.Kept) -> str:
    """Return what the library costs an application."""
    lines = [
        [row["mode"], figure(row["cpu_us_per_request"], 1), figure(row["throughput"], 0), figure(row["p99_ms"], 3)]
        for row in _of(data.rows, "client")
    ]
    return table(["use", "CPU µs a request", "requests a second", "p99 ms"], lines)


BLOCKS: Final[dict[str, Callable[[kept.Kept], str]]] = {
    "machine": machine,
    "targets": targets,
    "matrix": matrix,
    "latency": latency,
    "handshakes": handshakes,
    "memory": memory,
    "node": node,
    "start": start,
    "client": client,
}


def fill(text: str, data: kept.Kept) -> str:
    """Return this page with its made parts made anew."""
    return filled(text, {name: functools.partial(make, data) for name, make in BLOCKS.items()})


def write(data: kept.Kept, page: Path = PAGE, drawing: Path = PICTURE) -> None:
    """Write the page and its picture."""
    page.write_text(fill(page.read_text(), data))
    drawing.write_text(picture.draw(_ordered(_matrix(data.rows))))


def _ordered(rows: list[Row]) -> list[Row]:
    names = [workload.name for workload in WORKLOADS]
    return sorted(rows, key=lambda row: (row["tls"], names.index(row["workload"]), PEERS.index(row["peer"])))


if __name__ == "__main__":
    write(kept.load())
