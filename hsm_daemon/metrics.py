"""What a daemon tells Prometheus of itself as a process, and the page on which all that it tells stands.

The families of prometheus-client for processes need /proc/stat, which a hardened service does not see
(ProcSubset=pid); and they have no prefix of ours. These read only what belongs to the process.
"""

import os
import platform
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hsm_daemon import clock, memory
from hsm_daemon.release import release

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_DESCRIPTORS: Final = Path("/proc/self/fd")


class ProcessCollector(Collector):
    """Makes the families `<prefix>_build_info`, `<prefix>_clock_seconds` and `<prefix>_process_*`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._build = {"version": release(), "python": platform.python_version()}
        self._started_at = clock.now()
        self.page_s = 0.0
        """Processor time that the page took the last time."""

    def collect(self) -> Iterator[Metric]:
        """Return the families as they are now."""
        yield InfoMetricFamily(f"{self._prefix}_build", "The software.", self._build)
        yield self._gauge("clock_seconds", "The time of day of this host, since 1970.", clock.now())
        yield self._gauge(
            "metrics_page_seconds", "Time of the event loop that this page took the last time.", self.page_s
        )
        usage = resource.getrusage(resource.RUSAGE_SELF)
        yield CounterMetricFamily(
            f"{self._prefix}_process_cpu_seconds", "Processor time.", value=usage.ru_utime + usage.ru_stime
        )
        resident = memory.resident_pages() * resource.getpagesize()
        yield self._gauge("process_resident_memory_bytes", "Memory that is not swapped out.", resident)
        yield self._gauge("process_start_time_seconds", "When this process started, since 1970.", self._started_at)
        yield self._gauge("process_open_fds", "Open file descriptors.", _open_descriptors())
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        yield self._gauge("process_max_fds", "How many may be open.", most)

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        return GaugeMetricFamily(f"{self._prefix}_{name}", text, value=value)


class MetricsPage:
    """The text of `/metrics`: what several collectors tell, read when somebody asks."""

    def __init__(self, prefix: str, *collectors: Collector) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._process = ProcessCollector(prefix)
        for collector in (*collectors, self._process):
            self._registry.register(collector)

    def text(self) -> bytes:
        """Make the page."""
        began = clock.thread_s()
        page = generate_latest(self._registry)
        self._process.page_s = clock.thread_s() - began
        return page


def _open_descriptors() -> int:
    # Since Linux 6.2 the folder's size is their number; else they are counted, which takes 3 ms for 10,000.
    try:
        return _DESCRIPTORS.stat().st_size or len(os.listdir(_DESCRIPTORS))
    except OSError:
        return 0
