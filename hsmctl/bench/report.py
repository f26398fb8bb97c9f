"""Figures of a measurement, for people and programs."""

from collections.abc import Mapping
from typing import Any, Final

from hsm_wire.statuses import Status, StatusClass, status_class
from hsmctl.bench.load import Load
from hsmctl.failures import advice_for

PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99_9": 99.9}


def document_of(load: Load) -> dict[str, Any]:
    """Return what --json prints."""
    good = load.done - sum(load.errors.values())
    latency = {name: load.latencies.percentile_us(percent) / 1000 for name, percent in PERCENTILES.items()}
    return {
        "requests": load.done,
        "errors": dict(load.errors),
        "throughput": round(good / load.measured_s, 1) if load.measured_s > 0 else 0.0,
        "latency_ms": {**latency, "max": load.latencies.max_us / 1000},
    }


def error_counts(errors: Mapping[str, int]) -> str:
    """Return the statuses and how often each came, the most frequent first."""
    ordered = sorted(errors.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count} {status}" for status, count in ordered)


def failure_line(document: dict[str, Any]) -> str:
    """Return the line of a measurement with errors: which statuses, how often, and what to do about the first."""
    errors: dict[str, int] = document["errors"]
    most = max(sorted(errors), key=lambda name: errors[name])
    known = Status.__members__.get(most)
    ours = known is not None and (
        status_class(known) <= StatusClass.KEY or known == Status.MECHANISM_NOT_HERE
    )  # mended by who asks
    advice = advice_for(known) if known is not None and ours else "`hsmctl status` shows the nodes"
    return f"{sum(errors.values())} of {document['requests']} requests failed ({error_counts(errors)}); {advice}"


def text_of(document: dict[str, Any]) -> str:
    """Return the same for people."""
    latency = document["latency_ms"]
    errors = error_counts(document["errors"]) or "none"
    return (
        f"requests    {document['requests']}\n"
        f"errors      {errors}\n"
        f"throughput  {document['throughput']:.0f} a second\n"
        f"latency     p50 {latency['p50']:.2f} ms, p90 {latency['p90']:.2f} ms, p99 {latency['p99']:.2f} ms, "
        f"p99.9 {latency['p99_9']:.2f} ms, max {latency['max']:.2f} ms"
    )


def progress_line(load: Load) -> str:
    """Return one line of how it goes."""
    elapsed = load.measured_s
    rate = load.done / elapsed if elapsed > 0 else 0.0
    p99_ms = load.latencies.percentile_us(99) / 1000
    return (
        f"{elapsed:5.1f} s  {load.done} requests  {rate:.0f}/s  p99 {p99_ms:.2f} ms  {sum(load.errors.values())} errors"
    )
