"""`make bench`: rounds over workloads and peers, interleaved so that a slow minute hits every peer alike."""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from bench.certificates import make_certificates
from bench.peers import NODES, PEERS, available, echo_nodes
from bench.processes import cpu_seconds, running

SIZE = 128  # bytes of a request and of its answer, header included
REPORT = Path(__file__).parent / "latest.json"


class Workload(NamedTuple):
    """So many connections with so many requests in flight each."""

    name: str
    connections: int
    in_flight: int
    always: bool


WORKLOADS = (
    Workload("64-sync", 64, 1, True),
    Workload("64x16", 64, 16, True),
    Workload("1000-sync", 1000, 1, False),
    Workload("4x256", 4, 256, False),
)


def measure(folder: Path, workload: Workload, tls: bool, pid: int, port: int, seconds: float) -> dict[str, float]:
    """Connect, warm up, and measure one peer once. CPU time is taken around load only, not around handshakes."""
    command = [sys.executable, "-m", "bench.load", str(folder), str(port)]
    command += [str(workload.connections), str(workload.in_flight), str(SIZE), *(["--tls"] if tls else [])]
    log = folder / "load.log"
    with running(command, log, talk=True) as load:
        assert load.stdin is not None
        assert load.stdout is not None
        if load.stdout.readline() != "connected\n":
            raise SystemExit(f"the load could not connect:\n{log.read_text()[-2000:]}")

        def run(duration: float) -> dict[str, float]:
            assert load.stdin is not None
            assert load.stdout is not None
            load.stdin.write(f"measure {duration}\n")
            load.stdin.flush()
            answer = load.stdout.readline()
            if not answer:
                raise SystemExit(f"the load broke off:\n{log.read_text()[-2000:]}")
            result: dict[str, float] = json.loads(answer)
            return result

        run(min(0.3, seconds / 3))
        before = cpu_seconds(pid) if pid else 0.0
        result = run(seconds)
        used = cpu_seconds(pid) - before if pid else 0.0
    if result["errors"] or not result["requests"]:
        raise SystemExit(f"{workload.name}: {result['errors']} errors in {result['requests']} requests")
    return {
        "cpu_us_per_request": used * 1e6 / result["requests"],
        "throughput": result["requests"] / result["seconds"],
        "p50_ms": result["p50_ms"],
        "p99_ms": result["p99_ms"],
    }


def report(samples: dict[tuple[str, bool, str], list[dict[str, float]]]) -> list[dict[str, object]]:
    """Return the median of the rounds for every workload and peer."""
    return [
        {"workload": workload, "size": SIZE, "tls": tls, "build": "python", "peer": peer}
        | {
            # No balancer has no cost: null, where 0 would read as a measurement.
            field: None if peer == "direct" and field == "cpu_us_per_request" else round(value, 3)
            for field in rounds[0]
            for value in [statistics.median(sample[field] for sample in rounds)]
        }
        for (workload, tls, peer), rounds in samples.items()
    ]


def print_table(rows: list[dict[str, object]]) -> None:
    """Print the report for people."""
    print(
        f"{'workload':<10} {'tls':<4} {'peer':<8} {'CPU us/request':>14} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8}"
    )
    for row in rows:
        cost = "-" if row["cpu_us_per_request"] is None else row["cpu_us_per_request"]
        print(
            f"{row['workload']:<10} {'yes' if row['tls'] else 'no':<4} {row['peer']:<8} {cost:>14} "
            f"{row['throughput']:>11} {row['p50_ms']:>8} {row['p99_ms']:>8}"
        )


def start(
    stack: contextlib.ExitStack, parent: Path, tls: bool, peers: list[str]
) -> tuple[Path, dict[str, tuple[int, int]]]:
    """Start nodes and peers; return their folder, and each peer's pid and port."""
    folder = parent / ("tls" if tls else "plain")
    folder.mkdir()
    make_certificates(folder, {"proxy": "proxy/proxy", "client": "client/client"} | {n: f"node/{n}" for n in NODES})
    ports = stack.enter_context(echo_nodes(folder, tls))
    return folder, {peer: stack.enter_context(PEERS[peer](folder, ports, tls)) for peer in peers}


def main() -> None:
    """Run the rounds, write the report, print a table."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two workloads, short rounds: under a minute")
    parser.add_argument("--rounds", type=int, help="how often each peer is measured (default 3; quick 2)")
    options = parser.parse_args()
    rounds = options.rounds or (2 if options.quick else 3)
    seconds = 0.8 if options.quick else 4.0
    peers = available()
    if "haproxy" not in peers:
        print("HAProxy is missing and left out; install it with: sudo apt-get install haproxy", file=sys.stderr)
    samples: dict[tuple[str, bool, str], list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as name, contextlib.ExitStack() as stack:
        targets = {tls: start(stack, Path(name), tls, peers) for tls in (False, True)}
        chosen = [workload for workload in WORKLOADS if workload.always or not options.quick]
        for _ in range(rounds):
            for workload in chosen:
                for tls, (folder, started) in targets.items():
                    for peer, (pid, port) in started.items():
                        sample = measure(folder, workload, tls, pid, port, seconds)
                        samples[workload.name, tls, peer].append(sample)
    rows = report(samples)
    REPORT.write_text(json.dumps(rows, indent=2) + "\n")
    print_table(rows)


if __name__ == "__main__":
    main()
