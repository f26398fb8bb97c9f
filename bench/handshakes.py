"""Full handshakes: what one costs, and so how many a core makes in a second.

Every connection shows its certificate, is greeted, and ends; no session is resumed. Peers that open a connection to a
node for each client do that without TLS here, so that only the client's handshake is compared.
"""

import contextlib
from collections import defaultdict
from typing import Final

from bench import rounds
from bench.processes import cpu_seconds, running
from bench.proxy_files import UNPACED
from bench.rounds import Load, Sample, Subject
from bench.study import Context, Row, medians
from bench.workloads import Workload

AT_ONCE: Final = Workload("handshakes", 16, 1)
SIZE: Final = 128
FIGURES: Final = ("cpu_us_per_handshake", "per_cpu_second", "throughput")


def measure(context: Context) -> list[Row]:
    """Return the handshakes of a CPU-second of every peer that speaks TLS."""
    samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    with contextlib.ExitStack() as stack:
        subjects = context.start(stack, "handshakes", tls=True, without=("direct",), plain_nodes=True, limits=UNPACED)
        for _ in range(context.plan.rounds):
            for subject in subjects:
                samples[subject.peer, subject.build].append(_sample(subject, context.plan.seconds))
    return [
        {"study": "handshakes", "peer": peer, "build": build, "tls": True, "rounds": len(taken)}
        | medians(taken, FIGURES)
        for (peer, build), taken in samples.items()
    ]


def _sample(subject: Subject, seconds: float) -> Sample:
    log = subject.folder / "handshakes.log"
    command = [*rounds.load_command(subject, AT_ONCE, SIZE), "--handshakes"]
    with running(command, log, talk=True) as process:
        load = Load(process, log)
        before = cpu_seconds(subject.target.pid)
        result = load.run(seconds)
        used = cpu_seconds(subject.target.pid) - before
    return {
        "cpu_us_per_handshake": used * 1e6 / result["requests"],
        "per_cpu_second": result["requests"] / used,
        "throughput": result["throughput"],
    }
