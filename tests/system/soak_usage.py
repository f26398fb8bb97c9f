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
"""Memory at the end is compared with that after the first five minutes."""
WEIGHED_S = 30.0
"""The last of a calm: the median of its samples counts."""
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
        self._weighed: dict[str, list[float]] = defaultdict(list)
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

    def weigh(self) -> None:
        """Remember what the processes that live through it hold now; the same clients have been there for a while."""
        now = time.monotonic() - self._began
        for name in self._spared:
            lately = [usage.resident_bytes for at, usage in self._samples[name] if at >= now - WEIGHED_S]
            self._weighed[name].append(statistics.median(lately))

    def judge(self) -> Iterator[str]:
        """Print what was seen, and yield what is wrong. The load has ended and its connections are closed."""
        files = self._open_files()
        for program in self._programs:
            name = program.name
            lives = "lived through" if name in self._spared else "was restarted"
            print(f"  {name:8} {lives}; open files {self._idle_files[name]} before, {files[name]} after")
            print(f"           every {SETTLED_S:.0f} s: {' '.join(self._over_time(name))} MiB (open files)")
            if files[name] > self._idle_files[name] + MAX_MORE_FILES:
                yield f"{name} has {files[name]} open files, and had {self._idle_files[name]} before the load"
        for name, weighed in self._weighed.items():
            growth = weighed[-1] / weighed[0]
            told = ", ".join(f"{bytes_ / MIB:.1f}" for bytes_ in weighed)
            print(f"  {name:8} weighed with the same clients: {told} MiB ({growth - 1:+.1%})")
            if growth > MAX_GROWTH:
                yield f"{name} grew by {growth - 1:.1%}, more than {MAX_GROWTH - 1:.0%}"

    def _main(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            for program in self._programs:
                usage = _usage(program)
                if usage is not None:
                    self._samples[program.name].append((time.monotonic() - self._began, usage))

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
