"""What a connection of a client costs a balancer in memory: while nothing is asked, and after one large body each."""

import contextlib
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

from bench import rounds
from bench.processes import process_tree, running
from bench.proxy_files import UNPACED
from bench.rounds import Load, Subject
from bench.study import Context, Row
from bench.workloads import Workload

IDLE: Final = Workload("idle", 5000, 1)
LARGE: Final = Workload("large", 1000, 1)
LARGE_BYTES: Final = 65536
SMALL_BYTES: Final = 128
SETTLED_S: Final = 1.0
"""After the last of them was greeted, and after the last answer."""
ROUND_S: Final = 0.5
KIB: Final = 1024


def resident_bytes(pid: int) -> int:
    """Return what a process and its workers have in memory."""
    total = 0
    for each in process_tree(pid):
        for line in Path(f"/proc/{each}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * KIB
    return total


def measure(context: Context) -> list[Row]:
    """Return bytes for each connection. Every figure is one start of one peer: memory does not scatter."""
    found: list[Row] = []
    for tls in (False, True):
        figures: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for name, workload, size in (("idle", IDLE, SMALL_BYTES), ("after_64_kib", LARGE, LARGE_BYTES)):
            with contextlib.ExitStack() as stack:
                subjects = context.start(
                    stack, f"memory-{tls}-{name}", tls=tls, without=("direct", "twemproxy"), limits=UNPACED
                )
                for subject in subjects:
                    grown = _grown(subject, workload, size)
                    figures[subject.peer, subject.build][f"{name}_bytes"] = round(grown / workload.connections)
        found += [
            {"study": "memory", "peer": peer, "build": build, "tls": tls} | row
            for (peer, build), row in figures.items()
        ]
    return found


def _grown(subject: Subject, workload: Workload, size: int) -> int:
    """Return by how much a peer grew with these connections, and with one round of requests where they are large."""
    log = subject.folder / "memory.log"
    before = resident_bytes(subject.target.pid)
    with running(rounds.load_command(subject, workload, size), log, talk=True) as process:
        load = Load(process, log)
        if size == LARGE_BYTES:
            load.run(ROUND_S)
        time.sleep(SETTLED_S)
        return resident_bytes(subject.target.pid) - before
