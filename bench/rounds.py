"""One measurement, and the rounds: A B C A B C, so that a slow minute of the machine hits every peer alike."""

import contextlib
import functools
import itertools
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.certificates import make_certificates
from bench.native import Tools, tools
from bench.peers import NODES, PEERS, Nodes, Peer, Site, Target, echo_nodes, redoubt
from bench.processes import cpu_seconds, running
from bench.workloads import Plan, Workload


class Subject(NamedTuple):
    """A peer that runs and waits for load."""

    peer: str
    build: str
    """`python` or `compiled`: of Redoubt; of the others it says nothing."""
    tls: bool
    redis: bool
    target: Target
    nodes_pid: int
    tools: Tools
    folder: Path


class Cell(NamedTuple):
    """What a row of the report is of."""

    workload: str
    tls: bool
    peer: str
    build: str
    loader: str
    size: int = 128


Sample = dict[str, float]
Samples = dict[Cell, list[Sample]]


class MeasureError(Exception):
    """A measurement that says nothing; the text is for the user."""


class Load:
    """A load generator that has connected."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        if self._line() != "connected\n":
            raise MeasureError(f"the load could not connect: {self._last_words()}")

    def run(self, seconds: float) -> dict[str, Any]:
        """Run load for so long; return what it says of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"measure {seconds}\n")
        self._process.stdin.flush()
        answer = self._line()
        if not answer:
            raise MeasureError(f"the load broke off: {self._last_words()}")
        result: dict[str, Any] = json.loads(answer)
        if result["errors"] or not result["requests"]:
            raise MeasureError(
                f"{result['errors']} errors in {result['requests']} requests: {result['errors_by_status']}"
            )
        return result

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _last_words(self) -> str:
        return self._log.read_text().strip()[-500:] or "it said nothing"


def load_command(subject: Subject, workload: Workload, size: int, rate: float = 0.0) -> list[str]:
    """Return the command that puts this load on that subject."""
    command = [*subject.tools.load, "--port", str(subject.target.port), "--size", str(size)]
    command += ["--connections", str(workload.connections), "--in-flight", str(workload.in_flight)]
    command += ["--tls", str(subject.folder)] if subject.tls else []
    command += ["--redis"] if subject.redis else []
    return command + (["--rate", f"{rate:.0f}"] if rate else [])


def measure(subject: Subject, workload: Workload, plan: Plan, size: int) -> Sample:
    """Connect, warm up, and measure once. CPU time is taken around load only, not around handshakes.

    Raises:
        MeasureError: there were errors, so that the figures would be of something else.
    """
    log = subject.folder / "load.log"
    peer = subject.target.pid
    with running(load_command(subject, workload, size, plan.rate), log, talk=True) as process:
        load = Load(process, log)
        load.run(plan.warm_up_seconds)
        begin = time.monotonic()
        nodes_before = cpu_seconds(subject.nodes_pid)
        before = cpu_seconds(peer) if peer else 0.0
        result = load.run(plan.seconds)
        used = cpu_seconds(peer) - before if peer else 0.0
        nodes_used = cpu_seconds(subject.nodes_pid) - nodes_before
        took = time.monotonic() - begin
    figures = ("throughput", "p50_ms", "p99_ms", "p99_9_ms")
    return (
        {"cpu_us_per_request": used * 1e6 / result["requests"]}
        | {name: result[name] for name in figures}
        | {
            "peer_cpu_share": used / took,
            "loader_cpu_share": result["cpu_share"],
            "nodes_cpu_share": nodes_used / took,
        }
    )


def available(names: list[str] | None) -> list[Peer]:
    """Return the peers of those names (None: all) that this machine has; say in a line what is left out."""
    found = []
    for peer in PEERS:
        if names is not None and peer.name not in names:
            continue
        lacking = peer.lacking()
        if lacking is None:
            found.append(peer)
        else:
            print(f"{peer.name} is missing and left out; install it with: apt-get install {lacking}", file=sys.stderr)
    return found


def builds(peer: Peer, compiled: Path | None) -> Iterator[tuple[str, Peer]]:
    """Yield the peer under the name of each build there is of it."""
    yield "python", peer
    if peer.name == "redoubt" and compiled is not None:
        yield "compiled", peer._replace(start=functools.partial(redoubt, packages=compiled))


class Setting(NamedTuple):
    """How peers are started."""

    plan: Plan
    compiled: Path | None = None
    """A folder with our packages compiled: measured as well."""
    plain_nodes: bool = False
    """Of peers that are not ours: see `Site`."""
    limits: str = ""
    """Lines of `[limits]` in our proxy's settings."""


def start(
    stack: contextlib.ExitStack, parent: Path, peers: list[Peer], setting: Setting, *, tls: bool
) -> list[Subject]:
    """Start nodes and peers with or without TLS; return what can be measured."""
    folder = parent / ("tls" if tls else "plain")
    folder.mkdir(parents=True)
    make_certificates(folder, {"proxy": "proxy/proxy", "client": "client/client"} | {n: f"node/{n}" for n in NODES})
    own = tools(tls=tls)
    if setting.plan.rate and not own.extended:
        raise SystemExit("--rate needs the load generator in C: install a C compiler")
    nodes: dict[tuple[bool, bool], Nodes] = {}
    subjects = []
    for peer in peers:
        if peer.redis and (tls or not own.extended):
            if not tls:
                print(f"{peer.name} is left out: its load needs a C compiler", file=sys.stderr)
            continue
        plain = setting.plain_nodes and peer.name != "redoubt"
        kind = peer.redis, plain
        if kind not in nodes:
            nodes[kind] = stack.enter_context(echo_nodes(own, folder, tls=tls and not plain, redis=peer.redis))
        site = Site(folder, nodes[kind], tls, plain, setting.limits)
        for build, variant in builds(peer, setting.compiled):
            target = stack.enter_context(variant.start(site))
            subjects.append(Subject(peer.name, build, tls, peer.redis, target, site.nodes.pid, own, folder))
    return subjects


def run(plan: Plan, subjects: list[Subject]) -> Samples:
    """Measure every subject with every load, round by round, as far as the budget goes."""
    samples: Samples = defaultdict(list)
    begin = time.monotonic()
    for number in range(plan.rounds):
        spent = time.monotonic() - begin
        if number and spent + spent / number > plan.budget_seconds:
            print(f"{number} of {plan.rounds} rounds: the machine is too slow for more in time", file=sys.stderr)
            break
        for tls in (False, True):
            for size, workload, subject in itertools.product(plan.sizes, plan.workloads(tls=tls), subjects):
                if subject.tls is not tls or not workload.fits(size):
                    continue
                cell = Cell(workload.name, tls, subject.peer, subject.build, subject.tools.kind, size)
                try:
                    samples[cell].append(measure(subject, workload, plan, size))
                except MeasureError as error:
                    where = f"{workload.name} of {size} bytes {'with' if tls else 'without'} TLS, {subject.peer}"
                    raise SystemExit(f"{where}: {error}") from None
    return samples
