"""A real proxy process, fake nodes as processes behind it, relays between them where a test wants to cut a path."""

import re
import time
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from fault_processes import NodeProcess, RelayProcess
from history import Rotation
from programs import Program, free_port, get, wait_until

NODES = 3
_CHANGED = re.compile(r'^time=(\S+) .* event="node changed" node=(\S+) .*?after=(\S+)', re.MULTILINE)
_PATH_LOST = re.compile(
    r'^time=(\S+) .* event="path changed" node=(\S+) path=(\S+) before=\S+ after=down reason="(.*)"$', re.MULTILINE
)
SITES = ("here", "there", "yonder")


class PathLost(NamedTuple):
    """The proxy gave up a path: when (monotonic clock), of which node, and by which rule."""

    at: float
    node: str
    path: str
    reason: str


class Stand:
    """Fake nodes `node-1`..., each reached over `paths` relays (0: directly), and a proxy, all without TLS."""

    def __init__(
        self, folder: Path, event_loop: str, *, nodes: int = NODES, paths: int = 0, settings: str = "", proxies: int = 1
    ) -> None:
        self.folder = folder
        self.nodes = [NodeProcess(folder, f"node-{number}", seed=number) for number in range(1, nodes + 1)]
        self.relays = {
            node.name: [RelayProcess(folder, node.address, f"{node.name}-relay-{path}") for path in range(paths)]
            for node in self.nodes
        }
        self.proxies = [
            Program(name, "proxy.cli", folder / f"{name}.toml", free_port(), free_port(), event_loop)
            for name in (f"proxy-{number}" for number in range(1, proxies + 1))
        ]
        self.client_config = folder / "client.toml"
        self._write(settings)

    @property
    def proxy(self) -> Program:
        """The first proxy."""
        return self.proxies[0]

    def start(self) -> "Stand":
        """Start everything; return when every node is in rotation."""
        for node in self.nodes:
            node.start()
        for relays in self.relays.values():
            for relay in relays:
                relay.start()
        for proxy in self.proxies:
            proxy.start()
        for proxy in self.proxies:
            proxy.wait_ready()
        self.wait_state({node.name: "up" for node in self.nodes})
        return self

    def stop(self) -> None:
        """End everything, whatever state it is in."""
        for proxy in self.proxies:
            proxy.kill()
        for relays in self.relays.values():
            for relay in relays:
                relay.close()
        for node in self.nodes:
            node.close()

    def states(self) -> dict[str, str]:
        """Return the nodes' operational states as the first proxy sees them."""
        return {node["name"]: node["state"] for node in self.proxy.status()["nodes"]}

    def wait_state(self, wanted: dict[str, str], deadline_s: float = 20.0) -> None:
        """Wait until these nodes have these states."""
        wait_until(
            lambda: wanted.items() <= self.states().items(),
            lambda: f"{wanted}; there is {self.states()}; the proxy's log:\n{self.proxy.log()[-3000:]}",
            deadline_s,
        )

    def rotations(self) -> list[Rotation]:
        """Return each change of a node's state that the proxies logged: nothing is missed, as polling would."""
        return [
            Rotation(_monotonic(at), node, after == "up", proxy.name)
            for proxy in self.proxies
            for at, node, after in _CHANGED.findall(proxy.log())
        ]

    def lost_paths(self) -> list[PathLost]:
        """Return each path that the first proxy gave up, in order, with the reason that it logged."""
        return [
            PathLost(_monotonic(at), node, path, reason)
            for at, node, path, reason in _PATH_LOST.findall(self.proxy.log())
        ]

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels; 0 where there are none."""
        return metric_of(self.proxy, name, **labels)

    def _write(self, settings: str) -> None:
        count = max(1, len(next(iter(self.relays.values()))))
        uplinks = ", ".join(f'"isp-{path}"' for path in range(count))
        sites = "".join(
            f'[[sites]]\nname = "{site}"\nrisk_zone = "{site}"\nlatitude = {40 + number}.0\nlongitude = 8.0\n'
            f"uplinks = [{uplinks}]\n"
            for number, site in enumerate(SITES)
        )
        nodes = ""
        for number, node in enumerate(self.nodes):
            addresses = [relay.address for relay in self.relays[node.name]] or [node.address]
            paths = ", ".join(
                f'{{ uplink = "isp-{path}", address = "{address}" }}' for path, address in enumerate(addresses)
            )
            nodes += f'[[nodes]]\nname = "{node.name}"\nsite = "{SITES[number % len(SITES)]}"\npaths = [{paths}]\n'
        clients = ", ".join(
            f'{{ identity = "spiffe://test/client/{name}", roles = ["use", "manage"] }}' for name in ("app",)
        )
        (self.folder / "cluster.toml").write_text(
            f'[cluster]\nname = "test"\npackage = "sandbox"\n{sites}{nodes}'
            f'[[partitions]]\nid = 1\nname = "first"\nclients = [{clients}]\n'
        )
        for proxy in self.proxies:
            proxy.config.write_text(
                f'cluster = "cluster.toml"\nname = "{proxy.name}"\nsite = "here"\ntls = "off"\n'
                f'tls_off_identity = "spiffe://test/client/app"\nlisten = "127.0.0.1:{proxy.port}"\n'
                f'admin = "127.0.0.1:{proxy.admin_port}"\n{settings}'
            )
        addresses_of_proxies = ", ".join(f'"127.0.0.1:{proxy.port}"' for proxy in self.proxies)
        self.client_config.write_text(f'proxies = [{addresses_of_proxies}]\ntls = "off"\n')


def metric_of(program: Program, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples that have these labels, as a daemon's /metrics says now; 0 if none has."""
    _, page = get(program.admin_port, "/metrics")
    total = 0.0
    for found, text, value in re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", page.decode(), re.MULTILINE):
        if found == name and all(f'{label}="{wanted}"' in text for label, wanted in labels.items()):
            total += float(value)
    return total


def _monotonic(logged: str) -> float:
    """The log has the time of day, to a millisecond; histories have the monotonic clock."""
    return datetime.fromisoformat(logged).timestamp() + time.monotonic() - time.time()
