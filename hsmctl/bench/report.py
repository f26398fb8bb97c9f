"""Figures of a measurement, for people and programs."""

from typing import Any, Final

from hsmctl.bench.load import Load

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


def text_of(document: dict[str, Any]) -> str:
    """Return the same for people."""
    latency = document["latency_ms"]
    errors = ", ".join(f"{count} {status}" for status, count in document["errors"].items()) or "none"
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
