"""What is measured: our proxy, other balancers, and no balancer at all. Each on one thread, as our proxy has one."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from bench.native import Tools
from bench.processes import running
from bench.programs import find_nginx, find_program
from bench.proxy_files import write_proxy_files

NODES = ("node-1", "node-2", "node-3")
START_SECONDS = 15.0  # for a peer to be ready
ROOT = Path(__file__).resolve().parent.parent


class Nodes(NamedTuple):
    """The echo nodes, one process."""

    pid: int
    ports: dict[str, int]


class Site(NamedTuple):
    """Where a peer is started: its files, the nodes behind it, with TLS or not."""

    folder: Path
    nodes: Nodes
    tls: bool
    """Clients speak it; nodes as well, unless:"""
    plain_nodes: bool = False
    """The peer talks to nodes without it: what its clients' handshakes cost is told apart from those with nodes."""
    limits: str = ""
    """Lines of `[limits]` in our proxy's settings."""


class Target(NamedTuple):
    """A peer that runs."""

    pid: int
    """0: there is no process between load and node."""
    port: int


@contextlib.contextmanager
def echo_nodes(tools: Tools, folder: Path, *, tls: bool = False, redis: bool = False) -> Iterator[Nodes]:
    """Run the echo nodes."""
    options = [*(["--tls", str(folder)] if tls else []), *(["--redis"] if redis else [])]
    log = folder / "echo.log"
    with running([*tools.echo_node, *options, *NODES], log, talk=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"the echo nodes did not start:\n{log.read_text()[-2000:]}")
        yield Nodes(process.pid, json.loads(line))


@contextlib.contextmanager
def redoubt(site: Site, packages: Path = ROOT) -> Iterator[Target]:
    """Run hsm-proxy out of that folder, with its defaults."""
    config = write_proxy_files(site.folder, site.nodes.ports, tls=site.tls, limits=site.limits)
    log = site.folder / f"redoubt-{packages.name}.log"
    # The folder goes in front of everything: packages that are installed must not be measured instead.
    start = f"import sys; sys.path.insert(0, {str(packages)!r}); from proxy.cli import main; sys.exit(main())"
    with running([sys.executable, "-c", start, "--config", str(config)], log) as process:
        yield Target(process.pid, _port_from_log(process, log))


def _port_from_log(process: subprocess.Popen[str], log: Path) -> int:
    """Wait for the line that says where the proxy listens."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        found = re.search(r"\bevent=\"?ready\b.*\baddress=\"?127\.0\.0\.1:(\d+)", log.read_text())
        if found:
            return int(found[1])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit(f"hsm-proxy did not become ready:\n{log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def _listening(command: list[str], port: int, log: Path) -> Iterator[Target]:
    """Run a program of others until the block ends; go on when it accepts connections."""
    with running(command, log) as process:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                yield Target(process.pid, port)
                return
            time.sleep(0.05)
        raise SystemExit(f"{Path(command[0]).name} did not start:\n{log.read_text()[-2000:]}")


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


def haproxy(site: Site) -> AbstractContextManager[Target]:
    """Run HAProxy: TCP mode, a random node per connection."""
    port = _free_port()
    folder, ca = site.folder, site.folder / "ca.pem"
    pair = f" ssl crt {folder / 'proxy-both.pem'} ca-file {ca} verify required ssl-min-ver TLSv1.3" if site.tls else ""
    inner = "" if site.plain_nodes else pair
    servers = "\n".join(f"    server {name} 127.0.0.1:{at}{inner}" for name, at in site.nodes.ports.items())
    config = folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, bind_tls=pair, servers=servers))
    command = [str(find_program("haproxy")), "-db", "-q", "-f", str(config)]
    return _listening(command, port, folder / "haproxy.log")


NGINX = """{load_module}daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 16384; }}
stream {{
    upstream nodes {{
        random;
{servers}
    }}
    server {{
        listen 127.0.0.1:{port}{listen_tls} backlog=2048;
        proxy_pass nodes;
        proxy_timeout 60s;
{tls}
    }}
}}
"""

# Certificates have SPIFFE names; nginx can only compare host names, so it does not verify the nodes'.
NGINX_TLS = """        ssl_protocols TLSv1.3;
        ssl_certificate {folder}/proxy.pem;
        ssl_certificate_key {folder}/proxy-key.pem;
        ssl_client_certificate {folder}/ca.pem;
        ssl_verify_client on;"""
NGINX_INNER_TLS = """
        proxy_ssl on;
        proxy_ssl_protocols TLSv1.3;
        proxy_ssl_certificate {folder}/proxy.pem;
        proxy_ssl_certificate_key {folder}/proxy-key.pem;"""


def _nginx_tls(site: Site) -> str:
    if not site.tls:
        return ""
    return (NGINX_TLS + ("" if site.plain_nodes else NGINX_INNER_TLS)).format(folder=site.folder)


def nginx(site: Site) -> AbstractContextManager[Target]:
    """Run nginx's stream module: a random node per connection."""
    found = find_nginx()
    assert found is not None, "asked for only where `available` says so"
    port = _free_port()
    folder = site.folder
    config = folder / "nginx.conf"
    config.write_text(
        NGINX.format(
            load_module=f"load_module {found.module};\n" if found.module else "",
            folder=folder,
            servers="\n".join(f"        server 127.0.0.1:{at};" for at in site.nodes.ports.values()),
            port=port,
            listen_tls=" ssl" if site.tls else "",
            tls=_nginx_tls(site),
        )
    )
    command = [found.program, "-e", "stderr", "-p", str(folder), "-c", str(config)]
    return _listening(command, port, folder / "nginx.log")


TWEMPROXY = """bench:
  listen: 127.0.0.1:{port}
  redis: true
  distribution: random
  auto_eject_hosts: false
  timeout: 30000
  backlog: 2048
  server_connections: 1
  preconnect: true
  servers:
{servers}
"""


def twemproxy(site: Site) -> AbstractContextManager[Target]:
    """Run twemproxy: a random node per request, in the redis protocol. `site` has nodes that speak it."""
    port = _free_port()
    config = site.folder / "nutcracker.yml"
    servers = "\n".join(f"   - 127.0.0.1:{at}:1 {name}" for name, at in site.nodes.ports.items())
    config.write_text(TWEMPROXY.format(port=port, servers=servers))
    statistics = ["-a", "127.0.0.1", "-s", str(_free_port())]
    log = site.folder / "nutcracker.log"
    command = [str(find_program("nutcracker")), "-c", str(config), *statistics, "-v", "0", "-o", str(log)]
    return _listening(command, port, log)


@contextlib.contextmanager
def direct(site: Site) -> Iterator[Target]:
    """Let the clients talk to one node: what the load and the echo can do by themselves."""
    yield Target(0, next(iter(site.nodes.ports.values())))


class Peer(NamedTuple):
    """One of those beside which the proxy is measured."""

    name: str
    start: Callable[[Site], AbstractContextManager[Target]]
    lacking: Callable[[], str | None]
    """Says what to install, or None."""
    redis: bool = False
    """Speaks redis, not our protocol, and no TLS."""


def _haproxy_lacking() -> str | None:
    return None if find_program("haproxy") else "haproxy"


def _nginx_lacking() -> str | None:
    return None if find_nginx() else "nginx libnginx-mod-stream"


def _twemproxy_lacking() -> str | None:
    return None if find_program("nutcracker") else "nutcracker"


PEERS = (
    Peer("redoubt", redoubt, lambda: None),
    Peer("haproxy", haproxy, _haproxy_lacking),
    Peer("nginx", nginx, _nginx_lacking),
    Peer("twemproxy", twemproxy, _twemproxy_lacking, redis=True),
    Peer("direct", direct, lambda: None),
)
