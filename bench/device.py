"""`make bench-device`: signatures of a node with a SoftHSM2 token through the whole path, beside the token by itself.

The token by itself is a C program that signs in as many threads as the node has sessions. Both take turns, so that a
slow minute of the machine hits both. Client, proxy and node share the processors, which the C program has to itself;
so the report has the processor time of each beside the rates.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.native import compiled, device_load
from bench.processes import cpu_seconds, running
from hsm_client import sync
from hsm_wire.forms import NIL
from hsm_wire.mechanisms import CKM_ECDSA_SHA256, CKM_SHA256_RSA_PKCS
from hsm_wire.messages import Sign, encode_body
from hsmctl.dev.soft_tokens import environment, find_module
from hsmctl.failures import CommandError

REPORT = Path(__file__).parent / "device.json"
MECHANISMS = {"rsa-2048": CKM_SHA256_RSA_PKCS, "ec-p256": CKM_ECDSA_SHA256}
SESSIONS = 2
"""What a node has, unless its configuration says otherwise."""
CONNECTIONS, IN_FLIGHT = 8, 4
"""More than the node's window: it always has something to do."""
DATA = b"what a client has signed".ljust(64)
NODE = "node-1"
WARM_UP_SECONDS = 1.0  # what is loaded at its first use
DEVICE = "device"
LOAD = "load"


class Cluster(NamedTuple):
    """One node with a token, and a proxy."""

    folder: Path
    port: int
    pids: dict[str, int]
    """Of node and proxy."""


class Sample(NamedTuple):
    """One turn."""

    device: float
    """Signatures a second of the token by itself."""
    path: float
    """The same through client, proxy and node."""
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, float]
    """Processor time of a signature, by process."""


class Program:
    """A load generator that is ready and takes `measure SECONDS`."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path, first: str = "") -> None:
        self._process = process
        self._log = log
        assert process.stdin is not None
        process.stdin.write(first)
        process.stdin.flush()
        self._line()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def measure(self, seconds: float) -> dict[str, Any]:
        """Run it for so long; return what it says."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"measure {seconds}\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._line())
        if found.get("errors"):
            raise SystemExit(f"{found['errors']} errors: {found['errors_by_status']}")
        return found

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a load generator ended: {self._log.read_text().strip()[-500:]}")
        return line


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Run `hsmctl dev` with one node, whose keys are in a token."""
    command = [sys.executable, "-m", "hsmctl.cli", "dev", "--dir", str(folder), "--nodes", "1", "--backend", "softhsm"]
    log = folder.with_suffix(".log")
    with running([*command, "--json"], log, talk=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while lines[-1] not in ("", "}\n"):
            lines.append(process.stdout.readline())
        if not lines[-1]:
            raise SystemExit(f"the cluster did not start: {log.read_text().strip()[-500:]}")
        said = json.loads("".join(lines))
        [node], [proxy] = said["nodes"], said["proxies"]
        yield Cluster(folder, int(proxy["address"].rpartition(":")[2]), {"node": node["pid"], "proxy": proxy["pid"]})


@contextlib.contextmanager
def programs(there: Cluster, key_type: str) -> Iterator[tuple[Program, Program]]:
    """Run both load generators, ready: the token by itself, and the path."""
    folder = there.folder
    with sync.connect(folder / "client.toml") as hsm:
        key_id = bytes.fromhex(hsm.generate_key(key_type).id)
    body = folder / f"{key_type}.body"
    body.write_bytes(encode_body(Sign(key_id, MECHANISMS[key_type], NIL, DATA)))
    alone = [str(device_load()), str(find_module()), NODE, key_type, str(SESSIONS)]
    path = [*compiled().load, "--port", str(there.port), "--tls", str(folder), "--body", str(body)]
    path += ["--connections", str(CONNECTIONS), "--in-flight", str(IN_FLIGHT)]
    log = folder / "load.log"
    with (
        running(alone, log, talk=True, environment=environment(folder)) as one,
        running(path, log, talk=True) as other,
    ):
        yield Program(one, log, (folder / "pin").read_text()), Program(other, log)


def sample(alone: Program, path: Program, pids: dict[str, int], seconds: float) -> Sample:
    """Measure each once."""
    before = cpu_seconds(alone.pid)
    device = alone.measure(seconds)
    used = {DEVICE: (cpu_seconds(alone.pid) - before) * 1e6 / device["signatures"]}
    pids = {**pids, LOAD: path.pid}
    begin = {name: cpu_seconds(pid) for name, pid in pids.items()}
    found = path.measure(seconds)
    used |= {name: (cpu_seconds(pid) - begin[name]) * 1e6 / found["requests"] for name, pid in pids.items()}
    return Sample(device["throughput"], found["throughput"], found["p50_ms"], found["p99_ms"], used)


def row(key_type: str, samples: list[Sample]) -> dict[str, Any]:
    """Return the medians; `ratio` is that of the turns, `cpu_ratio` what it would be if processor time were all."""
    used = {name: statistics.median(each.cpu_us[name] for each in samples) for name in samples[0].cpu_us}
    on_the_path = sum(time for name, time in used.items() if name != DEVICE)
    return {
        "key_type": key_type,
        "threads": SESSIONS,
        "device_per_s": round(statistics.median(each.device for each in samples), 1),
        "path_per_s": round(statistics.median(each.path for each in samples), 1),
        "ratio": round(statistics.median(each.path / each.device for each in samples), 3),
        "cpu_ratio": round(used[DEVICE] / on_the_path, 3),
        "cpu_us": {name: round(time, 1) for name, time in used.items()},
        "p50_ms": round(statistics.median(each.p50_ms for each in samples), 3),
        "p99_ms": round(statistics.median(each.p99_ms for each in samples), 3),
        "rounds": len(samples),
        "processors": os.cpu_count(),
    }


def table(report: list[dict[str, Any]]) -> str:
    """Return the report for people."""
    lines = [f"{'key':<10} {'token/s':>8} {'path/s':>8} {'ratio':>6}   CPU us a signature: token, and on the path"]
    for each in report:
        used = "  ".join(f"{name} {time:.0f}" for name, time in each["cpu_us"].items())
        lines.append(
            f"{each['key_type']:<10} {each['device_per_s']:>8.0f} {each['path_per_s']:>8.0f} {each['ratio']:>6.2f}   "
            f"{used}  (ratio {each['cpu_ratio']:.2f})"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure both key types; write the report, and print it."""
    parser = argparse.ArgumentParser(prog="make bench-device", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of load in each measurement")
    options = parser.parse_args()
    try:
        find_module()
    except CommandError as error:
        print(f"the token is left out: {error}", file=sys.stderr)
        return
    report = []
    with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as name, cluster(Path(name) / "dev") as there:
        for key_type in MECHANISMS:
            with programs(there, key_type) as (alone, path):
                path.measure(WARM_UP_SECONDS)
                samples = [sample(alone, path, there.pids, options.seconds) for _ in range(options.rounds)]
            report.append(row(key_type, samples))
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))


if __name__ == "__main__":
    main()
