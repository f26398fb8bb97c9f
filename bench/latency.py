"""Latency at half load: all get the same rate, open loop, so that who is slow does not slow down the clock."""

import contextlib
from collections import defaultdict
from typing import Final

from bench import rounds
from bench.rounds import Sample
from bench.study import Context, Row, medians
from bench.workloads import WORKLOADS, Workload

LOAD: Final = WORKLOADS[0]
"""Whose throughput through our proxy is the full load."""
CARRIER: Final = Workload("open-loop", 64, 256)
"""Room for what is due: an open loop must not wait for its own answers."""
SIZE: Final = 128
FIGURES: Final = ("p50_ms", "p99_ms", "p99_9_ms", "peer_cpu_share")


def measure(context: Context) -> list[Row]:
    """Return p50, p99 and p99.9 of every peer, with and without TLS."""
    found: list[Row] = []
    for tls in (False, True):
        with contextlib.ExitStack() as stack:
            subjects = context.start(stack, f"latency-{tls}", tls=tls)
            found += _rows(context, subjects, tls=tls)
    return found


def _rows(context: Context, subjects: list[rounds.Subject], *, tls: bool) -> list[Row]:
    ours = next(subject for subject in subjects if subject.peer == "redoubt")
    full = rounds.measure(ours, LOAD, context.plan, SIZE)["throughput"]
    plan = context.plan._replace(rate=float(round(full / 2)))
    samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for _ in range(plan.rounds):
        for subject in subjects:
            samples[subject.peer, subject.build].append(rounds.measure(subject, CARRIER, plan, SIZE))
    return [
        {"study": "latency", "peer": peer, "build": build, "tls": tls, "rate": plan.rate, "rounds": len(taken)}
        | medians(taken, FIGURES)
        for (peer, build), taken in samples.items()
    ]
