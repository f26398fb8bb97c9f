"""`make bench`: what a request costs the proxy's process, beside other balancers in the same run."""

import argparse
import contextlib
import resource
import tempfile
from pathlib import Path

from bench import report, rounds
from bench.peers import PEERS
from bench.workloads import FULL, QUICK, WORKLOADS, Plan, chosen


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    result = argparse.ArgumentParser(prog="make bench", description=__doc__)
    result.add_argument("--quick", action="store_true", help="short rounds: under a minute")
    result.add_argument("--rounds", type=int, help=f"how often (default {FULL.rounds}; quick {QUICK.rounds})")
    result.add_argument("--seconds", type=float, help="of load in each measurement")
    result.add_argument("--size", type=int, default=FULL.size, help="bytes of a request, header included")
    result.add_argument("--rate", type=float, default=0.0, help="requests a second, open loop (default: closed loop)")
    result.add_argument("--workload", action="append", choices=[each.name for each in WORKLOADS])
    result.add_argument("--peer", action="append", choices=[each.name for each in PEERS])
    result.add_argument("--only", choices=["plain", "tls"])
    result.add_argument("--compiled", type=Path, help="a folder with our packages compiled: measured as well")
    return result


def plan_of(options: argparse.Namespace) -> Plan:
    """Return what the options ask for."""
    plan = QUICK if options.quick else FULL
    wanted = chosen(options.workload)
    return plan._replace(
        plain=() if options.only == "tls" else tuple(each for each in plan.plain if each in wanted),
        tls=() if options.only == "plain" else tuple(each for each in plan.tls if each in wanted),
        size=options.size,
        rounds=options.rounds or plan.rounds,
        seconds=options.seconds or plan.seconds,
        rate=options.rate,
    )


def main() -> None:
    """Run the rounds, write the report, print a table."""
    options = parser().parse_args()
    plan = plan_of(options)
    # A thousand clients are two thousand connections in a balancer; children inherit this.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    peers = rounds.available(options.peer)
    with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as name, contextlib.ExitStack() as stack:
        subjects = [
            subject
            for tls in (False, True)
            if plan.workloads(tls=tls)
            for subject in rounds.start(stack, Path(name), peers, tls=tls, plan=plan, compiled=options.compiled)
        ]
        samples = rounds.run(plan, subjects)
    result = report.rows(samples, plan)
    report.write(result)
    print(report.table(result))


if __name__ == "__main__":
    main()
