"""`make bench`: what a request costs the proxy's process, beside other balancers in the same run."""

import argparse
import contextlib
import datetime
import resource
import tempfile
from pathlib import Path

from bench import document, kept, machine, report, rounds, scale_page
from bench.peers import PEERS, Peer
from bench.proxy_files import UNPACED
from bench.studies import MATRIX, STUDIES
from bench.study import Context, Row
from bench.workloads import FULL, QUICK, WORKLOADS, Plan, chosen


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    result = argparse.ArgumentParser(prog="make bench", description=__doc__)
    result.add_argument("--quick", action="store_true", help="short rounds: under a minute")
    result.add_argument("--rounds", type=int, help=f"how often (default {FULL.rounds}; quick {QUICK.rounds})")
    result.add_argument("--seconds", type=float, help="of load in each measurement")
    result.add_argument("--size", type=int, action="append", help="bytes of a request, header included")
    result.add_argument("--rate", type=float, default=0.0, help="requests a second, open loop (default: closed loop)")
    result.add_argument("--workload", action="append", choices=[each.name for each in WORKLOADS])
    result.add_argument("--peer", action="append", choices=[each.name for each in PEERS])
    result.add_argument("--only", choices=["plain", "tls"])
    result.add_argument("--part", action="append", choices=[MATRIX, *STUDIES], help="(default all; quick: the matrix)")
    result.add_argument("--record", action="store_true", help="keep the figures, and make their pages of docs")
    result.add_argument("--compiled", type=Path, help="a folder with our packages compiled: measured as well")
    return result


def plan_of(options: argparse.Namespace) -> Plan:
    """Return what the options ask for."""
    plan = QUICK if options.quick else FULL
    wanted = chosen(options.workload)
    return plan._replace(
        plain=() if options.only == "tls" else tuple(each for each in plan.plain if each in wanted),
        tls=() if options.only == "plain" else tuple(each for each in plan.tls if each in wanted),
        sizes=tuple(options.size or plan.sizes),
        rounds=options.rounds or plan.rounds,
        seconds=options.seconds or plan.seconds,
        rate=options.rate,
    )


def measure_matrix(folder: Path, peers: list[Peer], plan: Plan, compiled: Path | None) -> list[Row]:
    """Run the rounds of every workload with every peer; write the report, print its table, return its rows."""
    setting = rounds.Setting(plan, compiled, limits=UNPACED)
    with contextlib.ExitStack() as stack:
        subjects = [
            subject
            for tls in (False, True)
            if plan.workloads(tls=tls)
            for subject in rounds.start(stack, folder, peers, setting, tls=tls)
        ]
        samples = rounds.run(plan, subjects)
    result = report.rows(samples, plan)
    report.write(result)
    print(report.table(result))
    return result


def measure_study(name: str, context: Context) -> list[Row]:
    """Run a study, print its rows, return them."""
    found = STUDIES[name](context)
    for row in found:
        print(", ".join(f"{field} {value}" for field, value in row.items()), flush=True)
    return found


def main() -> None:
    """Run the rounds, write the report, print a table."""
    options = parser().parse_args()
    plan = plan_of(options)
    parts = options.part or ([MATRIX] if options.quick else [MATRIX, *STUDIES])
    # A thousand clients are two thousand connections in a balancer; children inherit this.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    peers = rounds.available(options.peer)
    found: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as name:
        folder = Path(name)
        for part in parts:
            if part == MATRIX:
                found += measure_matrix(folder, peers, plan, options.compiled)
            else:
                found += measure_study(part, Context(folder, peers, plan, options.compiled))
    if options.record:
        day = datetime.datetime.now(datetime.UTC).date().isoformat()
        data = kept.merged(kept.load(), machine.describe(), found, day)
        kept.save(data)
        document.write(data)
        scale_page.write()


if __name__ == "__main__":
    main()
