"""Medians of the rounds: `bench/latest.json` for programs, a table for people."""

import json
import statistics
from pathlib import Path
from typing import Any

from bench.rounds import Sample, Samples
from bench.workloads import Plan

REPORT = Path(__file__).parent / "latest.json"
DIGITS = 3
NO_PEER = ("cpu_us_per_request", "peer_cpu_share")
"""What `direct` does not have: null, where 0 would read as a measurement."""


def medians(rounds: list[Sample], *, without: tuple[str, ...] = ()) -> dict[str, float | None]:
    """Return each figure's median over the rounds, None for those in `without`."""
    return {
        field: None if field in without else round(statistics.median(sample[field] for sample in rounds), DIGITS)
        for field in rounds[0]
    }


def rows(samples: Samples, plan: Plan) -> list[dict[str, Any]]:
    """Return the report: a row for each load and peer."""
    extra = {"rate": plan.rate} if plan.rate else {}
    return [
        {"workload": cell.workload, "size": cell.size, "tls": cell.tls, "build": cell.build, "peer": cell.peer}
        | medians(rounds, without=NO_PEER if cell.peer == "direct" else ())
        | {"loader": cell.loader, "rounds": len(rounds)}
        | extra
        for cell, rounds in samples.items()
    ]


def write(report: list[dict[str, Any]], path: Path = REPORT) -> None:
    """Write the report whole or not at all."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(report, indent=2) + "\n")
    temporary.replace(path)


def ratio(row: dict[str, Any], report: list[dict[str, Any]]) -> str:
    """Return a peer's cost as a multiple of the plain-Python Redoubt's in the same cell, for the table."""
    same = ("workload", "size", "tls")
    ours = next(
        (r for r in report if r["peer"] == "redoubt" and r["build"] == "python" and all(r[k] == row[k] for k in same)),
        None,
    )
    if ours is None or row["cpu_us_per_request"] is None or not row["cpu_us_per_request"]:
        return "-"
    return f"{ours['cpu_us_per_request'] / row['cpu_us_per_request']:.2f}"


def table(report: list[dict[str, Any]]) -> str:
    """Return the report for people. `ours/its` is Redoubt's cost divided by the peer's: below 1 ours is cheaper."""
    head = (
        f"{'workload':<10} {'size':>6} {'tls':<4} {'peer':<10} {'build':<9} {'CPU us/req':>10} {'ours/its':>8} "
        f"{'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8}  {'busy: peer':>10} {'load':>5} {'nodes':>5}"
    )
    lines = [head]
    for row in report:
        cost, busy = ("-" if row[name] is None else f"{row[name]:.2f}" for name in NO_PEER)
        lines.append(
            f"{row['workload']:<10} {row['size']:>6} {'yes' if row['tls'] else 'no':<4} {row['peer']:<10} "
            f"{row['build']:<9} {cost:>10} "
            f"{ratio(row, report):>8} {row['throughput']:>11.0f} {row['p50_ms']:>8.3f} {row['p99_ms']:>8.3f}  "
            f"{busy:>10} {row['loader_cpu_share']:>5.2f} {row['nodes_cpu_share']:>5.2f}"
        )
    return "\n".join(lines)
