"""What a daemon tells of itself as a process."""

import os
import re
from collections.abc import Iterator

import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hsm_daemon import clock
from hsm_daemon.metrics import MetricsPage


class _One(Collector):
    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("hsm_proxy_one", "One.", value=1)


def _values(page: bytes) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)$", page.decode(), re.MULTILINE)}


def test_a_page_has_the_collectors_families_and_the_process_s_under_one_prefix() -> None:
    values = _values(MetricsPage("hsm_proxy", _One()).text())
    assert values["hsm_proxy_one"] == values["hsm_proxy_build_info"] == 1.0
    assert {name.split("_process_")[0] for name in values if "_process_" in name} == {"hsm_proxy"}
    assert values["hsm_proxy_process_resident_memory_bytes"] > 1 << 20
    assert 0 < values["hsm_proxy_process_open_fds"] < values["hsm_proxy_process_max_fds"]
    assert values["hsm_proxy_process_cpu_seconds_total"] > 0


def test_a_page_has_the_time_of_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: 1_700_000_000.5)
    assert _values(MetricsPage("hsm_node").text())["hsm_node_clock_seconds"] == 1_700_000_000.5


def test_a_page_tells_what_the_one_before_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter((1.0, 1.25, 2.0, 2.5))
    monkeypatch.setattr(clock, "thread_s", lambda: next(moments))
    page = MetricsPage("hsm_node")
    first, second = _values(page.text()), _values(page.text())
    assert (first["hsm_node_metrics_page_seconds"], second["hsm_node_metrics_page_seconds"]) == (0.0, 0.25)


def test_open_descriptors_are_counted() -> None:
    before = _values(MetricsPage("hsm_node").text())["hsm_node_process_open_fds"]
    taken = [os.dup(0) for _ in range(5)]
    try:
        assert _values(MetricsPage("hsm_node").text())["hsm_node_process_open_fds"] == before + 5
    finally:
        for descriptor in taken:
            os.close(descriptor)
