"""Figures of a measurement."""

from collections import Counter

import pytest

from hsm_client.config import ClientConfig
from hsm_wire.statuses import Status
from hsmctl.bench.load import CONNECTION_LOST, UNREACHABLE, Load
from hsmctl.bench.plan import LoadPlan
from hsmctl.bench.report import document_of, error_counts, failure_line, progress_line, text_of
from hsmctl.bench.requests import Prepared


def measured(seconds: float = 2.0, good: int = 100, **errors: int) -> Load:
    load = Load(ClientConfig((), None), LoadPlan(1, 1, None, 1, None, True, 1.0), Prepared(0, b""))
    load.elapsed_s = seconds
    load.errors = Counter(errors)
    load.done = good + sum(errors.values())
    for number in range(good):
        load.latencies.record(1000 * (number + 1))
    return load


def test_the_document_has_the_fields_of_the_contract_and_no_others() -> None:
    document = document_of(measured(TIMEOUT=3))
    assert list(document) == ["requests", "errors", "throughput", "latency_ms"]
    assert (document["requests"], document["errors"], document["throughput"]) == (103, {"TIMEOUT": 3}, 50.0)
    assert list(document["latency_ms"]) == ["p50", "p90", "p99", "p99_9", "max"]
    assert document["latency_ms"]["p50"] == pytest.approx(50, rel=0.01)
    assert document["latency_ms"]["max"] == 100


def test_a_measurement_without_an_answer_has_figures_too() -> None:
    document = document_of(measured(good=0))
    assert (document["requests"], document["throughput"], document["latency_ms"]["max"]) == (0, 0, 0)
    assert "errors      none" in text_of(document)


def test_people_read_the_same_figures() -> None:
    text = text_of(document_of(measured(TIMEOUT=3, OVERLOADED=5)))
    assert "requests    108" in text
    assert "errors      5 OVERLOADED, 3 TIMEOUT" in text
    assert "p99.9" in text


def test_errors_are_counted_by_status_the_most_frequent_first() -> None:
    assert error_counts({"B": 1, "C": 7, "A": 1}) == "7 C, 1 A, 1 B"


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (Status.KEY_TYPE.name, "choose a mechanism for this type of key"),
        (Status.KEY_DISABLED.name, "hsmctl key enable"),
        (Status.TIMEOUT.name, "hsmctl status"),
        (UNREACHABLE, "hsmctl status"),
        (CONNECTION_LOST, "hsmctl status"),
        ("0x0999", "hsmctl status"),
    ],
)
def test_the_error_line_names_statuses_and_counts_and_says_what_to_do(status: str, advice: str) -> None:
    line = failure_line(document_of(measured(**{status: 9, "CANCELLED": 1})))
    assert line.startswith(f"10 of 110 requests failed (9 {status}, 1 CANCELLED); ")
    assert advice in line


def test_the_line_of_progress_shows_no_nonsense_before_the_clock_starts() -> None:
    load = Load(ClientConfig((), None), LoadPlan(1, 1, None, 1, None, True, 1.0), Prepared(0, b""))
    assert progress_line(load).startswith("  0.0 s  0 requests  0/s")
    assert "103 requests" in progress_line(measured(TIMEOUT=3))
