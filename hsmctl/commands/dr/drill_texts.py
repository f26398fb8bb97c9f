"""A drill's result, for people and for programs."""

from typing import Any

from hsm_wire.administration import DrillReport
from hsmctl.moments import moment_text


def document_of(report: DrillReport) -> dict[str, Any]:
    """Return the result as JSON has it."""
    return {
        "node": report.node,
        "at": moment_text(report.at),
        "good": report.good,
        "all_keys": report.whole,
        "commanded": report.commanded,
        "seconds": report.took_ms / 1000,
        "rto_seconds": _seconds(report.rto_ms),
        "rpo_records": report.lag_records,
        "rpo_seconds": _seconds(report.lag_ms),
        "keys": report.keys,
        "failed": report.failed,
        "records": report.records,
        "refused": report.refused,
        "kinds": list(report.kinds),
        "faults": list(report.faults),
    }


def lag_text(records: int | None, lag_ms: int | None) -> str:
    """Return how far a copy is behind."""
    if records is None:
        return "unknown" if lag_ms is None else f"unknown; it was complete {lag_ms / 1000:g} s ago"
    return f"{records} records" if lag_ms is None else f"{records} records, {lag_ms / 1000:g} s"


def keys_text(report: DrillReport) -> str:
    """Return what was tried."""
    which = "all keys" if report.whole else "a sample"
    return (
        f"{report.keys} used ({which}), {report.failed} failed; {report.records} records read, {report.refused} refused"
    )


def rto_text(report: DrillReport) -> str:
    """Return how long it took until everything was served."""
    if report.rto_ms is None:
        return "not everything was served"
    return f"{report.rto_ms / 1000:g} s" if report.keys else f"{report.rto_ms / 1000:g} s; there is no key yet to serve"


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
