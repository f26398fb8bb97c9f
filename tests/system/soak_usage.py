"""Memory and open files of each process over a soak, and what is said of them at its end."""

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Iterator

from cluster import Cluster
from process_table import Usage, usage_of
from programs import Program
from soak_faults import newest

SAMPLE_S = 2.0
SETTLED_S = 300.0
"""Memory at the end is compared with that after the first five minutes, each the median of `WINDOW_S`."""
WINDOW_S = 300.0
"""Many moves of clients between the proxies: what they leave behind is given back every half a minute, so memory goes
up and down."""
SAME_FILES = 4
"""Open files by which a sample may differ from another and be compared with it: each client's connection has memory of
its own, and clients move between the proxies all the time."""
MIN_SAMPLES = 5
MAX_GROWTH = 1.05
MAX_MORE_FILES = 8
"""More open files than at the idle start that are no leak: connections that come and go with the last checks."""
MIB = 1 << 20


class UsageWatch:
    """Samples in a thread."""

    def __init__(self, cluster: Cluster) -> None:
        self._programs: list[Program] = [*cluster.nodes, *cluster.proxies]
        self._spared = (cluster.nodes[0].name, cluster.proxies[0].name)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._main, name="usage")
        self._began = 0.0
        self._lasted_s = 0.0
        self._samples: dict[str, list[tuple[float, Usage]]] = defaultdict(list)
        self._idle_files = self._open_files()

    def start(self) -> None:
        """Begin."""
        self._began = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Sample no more."""
        self._stop.set()
        self._thread.join()
        self._lasted_s = time.monotonic() - self._began

    def judge(self) -> Iterator[str]:
        """Print what was seen, and yield what is wrong. The load has ended and its connections are closed."""
        lasted = self._lasted_s
        settled = min(SETTLED_S, lasted / 3)
        window = min(WINDOW_S, lasted / 12)
        files = self._open_files()
        for program in self._programs:
            name = program.name
            early, late = self._comparable(name, settled, lasted, window)
            growth = late / early if early else 1.0
            lives = "lived through" if name in self._spared else "was restarted"
            print(
                f"  {name:8} {early / MIB:6.1f} MiB after {settled:.0f} s, {late / MIB:6.1f} MiB at the end "
                f"({growth - 1:+.1%}, {lives}); open files {self._idle_files[name]} before, {files[name]} after"
            )
            print(f"           every {SETTLED_S:.0f} s: {' '.join(self._over_time(name))} MiB (open files)")
            # A process that was restarted is compared in its files only: its memory begins anew each time.
            if name in self._spared and lasted >= 2 * SETTLED_S and growth > MAX_GROWTH:
                yield f"{name} grew by {growth - 1:.1%}, more than {MAX_GROWTH - 1:.0%}"
            if files[name] > self._idle_files[name] + MAX_MORE_FILES:
                yield f"{name} has {files[name]} open files, and had {self._idle_files[name]} before the load"

    def _main(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            for program in self._programs:
                usage = _usage(program)
                if usage is not None:
                    self._samples[program.name].append((time.monotonic() - self._began, usage))

    def _comparable(self, name: str, settled: float, lasted: float, window: float) -> tuple[float, float]:
        """Return median bytes early and late, of samples with about as many open files as the process had at the end.

        The early ones are of the first window after `settled`; where a proxy did not have so many then, the first that
        had them, and where it had all clients at the end only, whatever it had then.
        """
        last = [usage for at, usage in self._samples[name] if at >= lasted - window]
        level = statistics.median_low([usage.open_files for usage in last]) if last else 0
        alike = [(at, usage) for at, usage in self._samples[name] if abs(usage.open_files - level) <= SAME_FILES]
        late = [usage.resident_bytes for at, usage in alike if at >= lasted - window]
        early = [usage.resident_bytes for at, usage in alike if settled <= at < settled + window]
        if len(early) < MIN_SAMPLES:
            early = [usage.resident_bytes for at, usage in alike if settled <= at < lasted / 2][: len(late)]
        if len(early) < MIN_SAMPLES:
            early = [usage.resident_bytes for at, usage in self._samples[name] if settled <= at <= settled + window]
        return (statistics.median(early) if early else 0.0, statistics.median(late) if late else 0.0)

    def _over_time(self, name: str) -> Iterator[str]:
        """Give what it held all along, so that a leak can be told from a step."""
        due = 0.0
        for at, usage in self._samples[name]:
            if at >= due:
                yield f"{usage.resident_bytes / MIB:.1f} ({usage.open_files})"
                due = at + SETTLED_S

    def _open_files(self) -> dict[str, int]:
        found = {program.name: _usage(program) for program in self._programs}
        return {name: usage.open_files if usage is not None else 0 for name, usage in found.items()}


def _usage(program: Program) -> Usage | None:
    try:
        return usage_of(newest(program))
    except IndexError:
        return None  # It is dead at the moment.
