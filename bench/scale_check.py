"""The model of capacity held against real daemons: `hsmctl dev` with three nodes and a proxy, on one machine.

Other programs may run beside it, so nothing here is a time of a request: it is processor time, memory, counts, and how
long the proxy's own pace of accepting takes.
"""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import capacity_model, costs, scrape
from bench.capacity_model import Installation
from bench.costs import Costs, busy_cores
from bench.memory import resident_bytes
from bench.native import tools
from bench.processes import cpu_seconds, running
from bench.rounds import Load
from hsm_client import sync
from hsm_daemon.metrics import MetricsPage
from hsm_wire.opcodes import operation_name
from hsm_wire.operations import OPERATIONS
from proxy.core.settings import Limits
from proxy.metrics import PREFIX

Row = dict[str, Any]
NODES: Final = 3
READY_S: Final = 60.0
POLL_S: Final = 0.1
SETTLED_S: Final = 3.0
IDLE_S: Final = 10.0
LOAD_S: Final = (1.0, 6.0)
"""Of two runs, of which the shorter one is taken off the longer one: so the connections' beginning is left out."""
KEYS: Final = 3_000
CONNECTIONS: Final = 5_000
"""Of one identity, which usually has fewer (`identity_clients`): more files than a shell allows, and a flood's size."""
RATES: Final = (300.0, 1_500.0)
SIGNING: Final = (
    ("ec-p256", "ecdsa-sha256", "P-256 signature"),
    ("rsa-2048", "rsa-pkcs1-sha256", "RSA-2048 signature"),
)
ESTABLISHED: Final = "01"
HSMCTL: Final = (sys.executable, "-m", "hsmctl.cli")


class Signed(NamedTuple):
    """Signatures, and the processor time that they took."""

    requests: float
    clock_s: float
    proxy_s: float
    nodes_s: float


class Cluster:
    """A development cluster that runs."""

    def __init__(self, folder: Path) -> None:
        manifest = json.loads((folder / "dev.json").read_text())
        self.client_config = Path(manifest["client_config"])
        self.proxy: dict[str, Any] = manifest["proxies"][0]
        self.nodes: list[dict[str, Any]] = manifest["nodes"]
        self.proxy_file = folder / f"{self.proxy['name']}.toml"

    @property
    def proxy_port(self) -> int:
        """Where clients connect."""
        return int(self.proxy["address"].rpartition(":")[2])

    def credentials(self, folder: Path) -> None:
        """Put the client's files where the load looks for them."""
        named = tomllib.loads(self.client_config.read_text())
        for name, key in (("ca", "ca"), ("client", "certificate"), ("client-key", "key")):
            (folder / f"{name}.pem").symlink_to(self.client_config.parent / named[key])

    def signs(self, key: str, mechanism: str, *options: str) -> "Signed":
        """Sign; return what it took of the proxy and of all nodes."""
        short, long = (self._sign(key, mechanism, seconds, *options) for seconds in LOAD_S)
        return Signed(*(now - then for now, then in zip(long, short, strict=True)))

    def _sign(self, key: str, mechanism: str, seconds: float, *options: str) -> "Signed":
        command = [*HSMCTL, "bench", "--key", key, "--mechanism", mechanism, "--seconds", str(seconds), *options]
        environment = os.environ | {"HSM_CLIENT_CONFIG": str(self.client_config)}
        before = self._used()
        done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False, env=environment)
        proxy_s, nodes_s = (now - then for now, then in zip(self._used(), before, strict=True))
        if done.returncode:
            raise SystemExit(f"hsmctl bench failed: {done.stderr.strip() or done.stdout[-500:]}")
        result = json.loads(done.stdout)
        return Signed(result["requests"], result["requests"] / result["throughput"], proxy_s, nodes_s)

    def _used(self) -> tuple[float, float]:
        return cpu_seconds(self.proxy["pid"]), sum(cpu_seconds(node["pid"]) for node in self.nodes)


@contextlib.contextmanager
def development_cluster(folder: Path) -> Iterator[Cluster]:
    """Run one until the block ends."""
    command = [*HSMCTL, "dev", "--dir", str(folder), "--nodes", str(NODES), "--proxies", "1"]
    with running(command, folder.parent / "dev.log") as process:
        until = time.monotonic() + READY_S
        while not (folder / "dev.json").exists():
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"hsmctl dev did not start: {(folder.parent / 'dev.log').read_text()[-500:]}")
            time.sleep(POLL_S)
        yield Cluster(folder)
        process.send_signal(signal.SIGINT)
        process.wait(READY_S)


def measure(tell: Callable[[Row], None]) -> list[Row]:
    """Return what the model needs and `make bench` does not measure, then what it says beside what was found."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    made: list[Row] = []

    def add(rows: Iterator[Row]) -> None:
        for row in rows:
            tell(row)
            made.append(row)

    with tempfile.TemporaryDirectory(prefix="redoubt-scale-") as name:
        folder = Path(name)
        with development_cluster(folder / "dev") as cluster:
            time.sleep(SETTLED_S)
            add(_at_rest(cluster))
            known = costs.load()
            add(_signing(cluster, known, {row["mode"]: row["figure"] for row in made if "figure" in row}))
            add(_pages(cluster))
            add(_keys(cluster))
            add(_crowd(cluster, folder, known))
            add(_left_alone(cluster))
    return made


def _at_rest(cluster: Cluster) -> Iterator[Row]:
    pids = [node["pid"] for node in cluster.nodes]
    yield _found("proxy_bytes", resident_bytes(cluster.proxy["pid"]))
    yield _found("node_bytes", sum(map(resident_bytes, pids)) / NODES)
    yield _found("proxy_idle_cores", _cores([cluster.proxy["pid"]]))
    yield _found("node_checked_cores", _cores(pids) / NODES)
    one = Installation(1, 1.0, proxies=1, nodes=NODES, paths=1)
    ports = {int(node["address"].rpartition(":")[2]) for node in cluster.nodes}
    links = _connected(ports)
    yield _check("links between a proxy and three nodes", capacity_model.links(one, NODES), links, "")
    yield _found("proxy_files", _files(cluster.proxy["pid"]) - links)
    yield _found("node_files", _files(pids[0]) - links / NODES)


def _left_alone(cluster: Cluster) -> Iterator[Row]:
    """End the proxy: what is left is what a node does by itself."""
    os.kill(cluster.proxy["pid"], signal.SIGKILL)
    time.sleep(SETTLED_S)
    yield _found("node_idle_cores", _cores([node["pid"] for node in cluster.nodes]) / NODES)


def _cores(pids: list[int]) -> float:
    """Return how many cores these processes use together."""
    used, began = sum(map(cpu_seconds, pids)), time.monotonic()
    time.sleep(IDLE_S)
    return (sum(map(cpu_seconds, pids)) - used) / (time.monotonic() - began)


def _signing(cluster: Cluster, known: Costs, rest: dict[str, float]) -> Iterator[Row]:
    for key_type, mechanism, operation in SIGNING:
        with sync.connect(cluster.client_config) as hsm:
            hsm.generate_key(key_type, label=key_type)
        work = known.works[operation]
        for options, in_flight in (
            *((("--clients", "64", "--rate", f"{rate:g}"), 1) for rate in RATES),
            (("--clients", "64", "--in-flight", "1"), 1),
            (("--clients", "64", "--in-flight", "16"), 16),
        ):
            signed = cluster.signs(key_type, mechanism, *options)
            rate, count = signed.requests / signed.clock_s, signed.requests
            proxy_s = signed.proxy_s / count - rest["proxy_idle_cores"] / rate
            node_s = signed.nodes_s / count - NODES * rest["node_checked_cores"] / rate
            if "proxy_alone_s" not in rest:  # The first and lightest load says what the model takes for an idle daemon.
                rest |= {"proxy_alone_s": proxy_s, "node_light_s": max(0.0, node_s - work.loop_s - work.session_s)}
                yield _found("proxy_alone_s", proxy_s)
                yield _found("node_light_s", rest["node_light_s"])
                continue
            request_s = known.proxy_s(64, in_flight, 128, tls=True)
            its_s = busy_cores(rate, request_s, rest["proxy_alone_s"]) / rate
            alone_s = work.loop_s + rest["node_light_s"]
            nodes_s = busy_cores(rate / NODES, work.loop_s, alone_s) / rate * NODES + work.session_s
            how = f"{operation}, {' '.join(options).replace('--', '')}"
            yield _check(f"{how}: a proxy's processor", its_s * 1e6, proxy_s * 1e6, "µs")
            yield _check(f"{how}: the nodes' processor", nodes_s * 1e6, node_s * 1e6, "µs")


def _pages(cluster: Cluster) -> Iterator[Row]:
    yield _found("proxy_threads", _threads(cluster.proxy["pid"]))
    yield _found(
        "node_threads", max(_threads(node["pid"]) for node in cluster.nodes) - Installation(1, 1.0, 1, 1).sessions
    )
    page = _page(cluster.proxy["admin"])
    asked = [opcode for opcode in OPERATIONS if f'operation="{operation_name(opcode)}"'.encode() in page]
    full = scrape.full_page(NODES, 1, paths=("loopback",), operations=asked, reasons=())
    predicted = MetricsPage(PREFIX, full).text()
    yield _check("series on a proxy's page", scrape.series(predicted), scrape.series(page), "")
    yield _check("bytes of a proxy's page", len(predicted), len(page), "")
    page = _page(cluster.nodes[0]["admin"])
    yield _found("node_series", scrape.series(page))
    yield _found("node_page_bytes", len(page))


def _keys(cluster: Cluster) -> Iterator[Row]:
    before = [resident_bytes(node["pid"]) for node in cluster.nodes]
    with sync.connect(cluster.client_config) as hsm:
        for number in range(KEYS):
            hsm.generate_key("ec-p256", label=f"key-{number}")
    time.sleep(SETTLED_S)
    grown = sum(resident_bytes(node["pid"]) for node in cluster.nodes) - sum(before)
    yield _found("key_bytes", grown / NODES / KEYS)


def _crowd(cluster: Cluster, folder: Path, known: Costs) -> Iterator[Row]:
    """Connect clients that ask nothing, at the proxy's usual pace."""
    pid = cluster.proxy["pid"]
    text = cluster.proxy_file.read_text()
    cluster.proxy_file.write_text(f"{text}\n[limits]\nidentity_clients = {CONNECTIONS}\n")
    os.kill(pid, signal.SIGHUP)
    time.sleep(SETTLED_S)
    files, memory, used = _files(pid), resident_bytes(pid), cpu_seconds(pid)
    cluster.credentials(folder)
    command = [*tools(tls=True).load, "--port", str(cluster.proxy_port), "--tls", str(folder)]
    began = time.monotonic()
    with running([*command, "--connections", str(CONNECTIONS)], folder / "load.log", talk=True) as process:
        Load(process, folder / "load.log")
        took_s, used_s = time.monotonic() - began, cpu_seconds(pid) - used
        time.sleep(SETTLED_S)
        grown, opened = resident_bytes(pid) - memory, _files(pid) - files
    many = f"{CONNECTIONS:,} idle TLS connections"
    yield _check(f"until {many} are there", capacity_model.back_s(CONNECTIONS, Limits()), took_s, "s")
    yield _check(f"a proxy's processor for one of {many}", known.handshake_s * 1e6, used_s / CONNECTIONS * 1e6, "µs")
    yield _check(f"memory of one of {many}", known.connection_bytes[True] / 1024, grown / CONNECTIONS / 1024, "KiB")
    yield _check(f"open files for {many}", CONNECTIONS, opened, "")


def _found(name: str, figure: float) -> Row:
    return {"study": "figure", "mode": name, "figure": round(figure, 8)}


def _check(what: str, predicted: float, measured: float, unit: str) -> Row:
    figures = {"predicted": round(predicted, 2), "measured": round(measured, 2)}
    return {"study": "check", "mode": what, **figures, "unit": unit}


def _page(admin: str) -> bytes:
    with urllib.request.urlopen(f"http://{admin}/metrics", timeout=10) as answer:
        text: bytes = answer.read()
    return text


def _files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def _connected(ports: set[int]) -> int:
    """Return how many connections to these ports of this machine there are."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[3] == ESTABLISHED and int(row[1].rpartition(":")[2], 16) in ports for row in rows)
