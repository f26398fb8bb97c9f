"""`python -m bench.capacity`: how much of each part an installation uses, what comes to its limit first, and its knob.

`--check` runs a small cluster on this machine and holds the model against it, `--record` keeps what it found in
bench/scale.json, and `--write` makes the tables of docs/scale.md of everything that is kept.
"""

import argparse
import sys

from bench import costs, scale_check, scale_page
from bench.capacity_model import Installation, Load, binding, loads
from bench.tables import figure

DEFAULT = Installation(clients=10_000, requests_per_s=2.0, proxies=8, nodes=4)


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    result = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__)
    for name, text in {
        "clients": "processes that use the library",
        "connections": "of one client: pool_size of connect()",
        "in_flight": "requests on one connection at a time",
        "size": "bytes of a request, header included",
        "identities": "that all clients have together (default: each its own)",
        "proxies": "hosts with a proxy",
        "workers": "of a proxy",
        "nodes": "that are active",
        "sessions": "of a node",
        "paths": "that lead to a node",
        "keys": "in the store",
        "partitions": "of the cluster",
    }.items():
        value = getattr(DEFAULT, name)
        known = "" if value is None else f" (default {value})"
        result.add_argument(f"--{name.replace('_', '-')}", type=int, default=value, help=text + known)
    result.add_argument("--requests-per-s", type=float, default=DEFAULT.requests_per_s, help="of one client")
    result.add_argument("--changes-per-s", type=float, default=DEFAULT.changes_per_s, help="of keys, by all")
    result.add_argument("--operation", default=DEFAULT.operation, help=f"as measured (default {DEFAULT.operation})")
    result.add_argument("--plain", action="store_true", help="without TLS")
    result.add_argument("--build", choices=["python", "compiled"], default="python")
    result.add_argument("--check", action="store_true", help="hold the model against a real cluster on this machine")
    result.add_argument("--record", action="store_true", help="keep what --check found in bench/scale.json")
    result.add_argument("--write", action="store_true", help="make the tables of docs/scale.md")
    return result


def installation_of(options: argparse.Namespace) -> Installation:
    """Return what the options describe."""
    named = {name: getattr(options, name) for name in Installation._fields if hasattr(options, name)}
    return Installation(**named, tls=not options.plain)


def text_table(found: list[Load]) -> str:
    """Return the loads for a terminal, the highest share first, and what binds first."""
    lines = []
    for load in sorted(found, key=lambda load: -load.share):
        limit = "-" if load.limit is None else figure(load.limit, 1)
        share = "" if load.limit is None else f"{load.share:.0%}"
        lines.append(f"{load.what:42} {figure(load.used, 2):>14} {limit:>12} {load.unit:9} {share:>6}  {load.knob}")
    first = binding(found)
    return "\n".join([*lines, f"first at its limit: {first.what} ({first.share:.0%}); {first.knob}"])


def main() -> int:
    """Do what is asked for."""
    options = parser().parse_args()
    if options.check:
        found = scale_check.measure(lambda row: print(row, flush=True))
        if options.record:
            costs.record(found)
    if options.write:
        scale_page.write()
    if not (options.check or options.write):
        try:
            print(text_table(loads(installation_of(options), costs.load(options.build))))
        except costs.MissingError as error:
            print(f"bench.capacity: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
