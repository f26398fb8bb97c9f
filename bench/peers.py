"""What is measured: our proxy, HAProxy (TCP mode, a random server per connection), and no balancer at all."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.certificates import CLUSTER
from bench.processes import running

NODES = ("node-1", "node-2", "node-3")
START_SECONDS = 15.0  # for a peer to be ready
IDENTITY = f"spiffe://{CLUSTER}/client/client"


@contextlib.contextmanager
def echo_nodes(folder: Path, tls: bool) -> Iterator[dict[str, int]]:
    """Run the echo nodes; yield their ports."""
    command = [sys.executable, "-m", "bench.echo_node", str(folder), ",".join(NODES), *(["--tls"] if tls else [])]
    with running(command, folder / "echo.log", talk=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())


@contextlib.contextmanager
def redoubt(folder: Path, ports: dict[str, int], tls: bool) -> Iterator[tuple[int, int]]:
    """Run hsm-proxy; yield its pid and port."""
    nodes = "".join(
        f'[[nodes]]\nname = "{name}"\nsite = "local"\nweight = 1\n'
        f'paths = [{{ uplink = "loopback", address = "127.0.0.1:{port}" }}]\n'
        for name, port in ports.items()
    )
    (folder / "cluster.toml").write_text(
        f'[cluster]\nname = "{CLUSTER}"\npackage = "sandbox"\n'
        '[[sites]]\nname = "local"\nrisk_zone = "local"\nlatitude = 0.0\nlongitude = 0.0\nuplinks = ["loopback"]\n'
        f'{nodes}[[partitions]]\nid = 1\nname = "bench"\n'
        f'clients = [{{ identity = "{IDENTITY}", roles = ["use", "manage"] }}]\n'
    )
    security = '{ ca = "ca.pem", certificate = "proxy.pem", key = "proxy-key.pem" }' if tls else '"off"'
    identity = "" if tls else f'tls_off_identity = "{IDENTITY}"\n'
    config = folder / "proxy.toml"
    config.write_text(
        f'cluster = "cluster.toml"\nname = "proxy"\nsite = "local"\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n'
        f"tls = {security}\n{identity}"
    )
    log = folder / f"redoubt-{'tls' if tls else 'plain'}.log"
    start = "import sys; from proxy.cli import main; sys.exit(main())"
    with running([sys.executable, "-c", start, "--config", str(config)], log) as process:
        yield process.pid, _port_from_log(process, log)


def _port_from_log(process: subprocess.Popen[str], log: Path) -> int:
    """Wait for the line that says where the proxy listens."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        found = re.search(r"\baddress=\"?127\.0\.0\.1:(\d+)", log.read_text())
        if found:
            return int(found[1])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit(f"hsm-proxy did not become ready:\n{log.read_text()[-2000:]}")


HAPROXY = """global
    nbthread 1
    maxconn 8192
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen bench
    bind 127.0.0.1:{port}{bind_tls}
    balance random
{servers}
"""


@contextlib.contextmanager
def haproxy(folder: Path, ports: dict[str, int], tls: bool) -> Iterator[tuple[int, int]]:
    """Run HAProxy on one thread, as our proxy has one; yield its pid and port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    ca = folder / "ca.pem"
    bind_tls = f" ssl crt {folder / 'proxy-both.pem'} ca-file {ca} verify required ssl-min-ver TLSv1.3" if tls else ""
    server_tls = f" ssl crt {folder / 'proxy-both.pem'} ca-file {ca} verify required" if tls else ""
    servers = "\n".join(f"    server {name} 127.0.0.1:{at}{server_tls}" for name, at in ports.items())
    config = folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, bind_tls=bind_tls, servers=servers))
    with running([str(shutil.which("haproxy")), "-db", "-q", "-f", str(config)], folder / "haproxy.log") as process:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield process.pid, port


@contextlib.contextmanager
def direct(folder: Path, ports: dict[str, int], tls: bool) -> Iterator[tuple[int, int]]:
    """Let the clients talk to one node: what the load and the echo can do by themselves. Pid 0: there is no peer."""
    del folder, tls
    yield 0, next(iter(ports.values()))


PEERS = {"redoubt": redoubt, "haproxy": haproxy, "direct": direct}


def available() -> list[str]:
    """Return the peers that this machine has."""
    return [name for name in PEERS if name != "haproxy" or shutil.which("haproxy")]
