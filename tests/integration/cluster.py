"""A whole cluster on loopback, of real processes: certificates, configuration, three nodes, a proxy."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from certificates import Authority, Identity
from programs import Program, free_port, wait_until

NAME = "test"
_T = TypeVar("_T")

_LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


class Cluster:
    """Nodes share one store file and one master key. Clients: `app` (all roles), `reader` (use), `other` (its own
    partition)."""

    def __init__(self, folder: Path, event_loop: str, nodes: int = 3) -> None:
        self.folder = folder
        self.event_loop = event_loop
        self.authority = Authority(folder / "tls")
        self.store = folder / "store.db"
        self.master_key = folder / "master.key"
        self.master_key.touch(mode=0o600)
        self.master_key.write_text(secrets.token_hex(32) + "\n")
        self.nodes = [self._program(f"node-{number}", "hsm_node.cli") for number in range(1, nodes + 1)]
        self.proxy = self._program("proxy-1", "proxy.cli")
        self.proxy_identity = self._identity("proxy", "proxy-1")
        self._write_topology()
        for node in self.nodes:
            self.write_node(node)
        self._write_proxy()
        self.app = self._client("app")
        self.reader = self._client("reader")
        self.other = self._client("other")
        self.client_config = self.config_of("app")

    def start(self) -> None:
        """Start everything and wait until all nodes are in rotation."""
        for program in (*self.nodes, self.proxy):
            program.start()
        for program in (*self.nodes, self.proxy):
            program.wait_ready()
        self.wait_in_rotation()

    def stop(self) -> None:
        """End everything, whatever state it is in."""
        for program in (self.proxy, *self.nodes):
            program.kill()

    def wait_in_rotation(self) -> None:
        """Wait until the proxy sees every node up."""
        wait_until(
            lambda: all(node["state"] == "up" for node in self.proxy.status()["nodes"]),
            lambda: f"all nodes in rotation; the proxy's log:\n{self.proxy.log()}",
        )

    def node_requests(self) -> dict[str, int]:
        """Return how many requests each node answered, as the proxy counts."""
        return {node["name"]: node["requests"] for node in self.proxy.status()["nodes"]}

    def run(self, main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Run a client of this cluster on the same kind of event loop as the daemons."""
        with asyncio.Runner(loop_factory=_LOOPS[self.event_loop]) as runner:
            return runner.run(main())

    def config_of(self, client: str) -> Path:
        """Return that client's client.toml."""
        return self.folder / f"client-{client}.toml"

    def write_node(self, node: Program, **changes: str) -> None:
        """Write a node's configuration; `changes` replace single values, given as TOML."""
        values = {
            "cluster": f'"{self.folder / "cluster.toml"}"',
            "name": f'"{node.name}"',
            "listen": f'"127.0.0.1:{node.port}"',
            "admin": f'"127.0.0.1:{node.admin_port}"',
            "tls": self._identity("node", node.name).as_toml(),
            "state_dir": f'"{self.folder / "state" / node.name}"',
            "store": f'{{ driver = "sqlite", path = "{self.store}" }}',
            "keystore": f'{{ backend = "software", master_key = {{ file = "{self.master_key}" }} }}',
            **changes,
        }
        node.config.write_text("".join(f"{key} = {value}\n" for key, value in values.items()))

    def _identity(self, kind: str, name: str) -> Identity:
        return self.authority.issue(f"spiffe://{NAME}/{kind}/{name}", name)

    def _program(self, name: str, module: str) -> Program:
        return Program(name, module, self.folder / f"{name}.toml", free_port(), free_port(), self.event_loop)

    def _client(self, name: str) -> Identity:
        identity = self._identity("client", name)
        self.config_of(name).write_text(
            f'proxies = ["127.0.0.1:{self.proxy.port}"]\nca = "{identity.ca}"\n'
            f'certificate = "{identity.certificate}"\nkey = "{identity.key}"\n'
        )
        return identity

    def _write_proxy(self) -> None:
        self.proxy.config.write_text(
            f'cluster = "{self.folder / "cluster.toml"}"\nname = "proxy-1"\nsite = "local"\n'
            f'listen = "127.0.0.1:{self.proxy.port}"\nadmin = "127.0.0.1:{self.proxy.admin_port}"\n'
            f"tls = {self.proxy_identity.as_toml()}\n"
        )

    def _write_topology(self) -> None:
        nodes = "".join(
            f'[[nodes]]\nname = "{node.name}"\nsite = "local"\nweight = 1\n'
            f'paths = [{{ uplink = "loopback", address = "127.0.0.1:{node.port}" }}]\n'
            for node in self.nodes
        )
        client = f"spiffe://{NAME}/client"
        (self.folder / "cluster.toml").write_text(
            f'[cluster]\nname = "{NAME}"\npackage = "sandbox"\n'
            '[[sites]]\nname = "local"\nrisk_zone = "here"\nlatitude = 47.4\nlongitude = 8.5\nuplinks = ["loopback"]\n'
            f"{nodes}"
            f'[[partitions]]\nid = 1\nname = "first"\nclients = ['
            f'{{ identity = "{client}/app", roles = ["use", "manage"] }}, '
            f'{{ identity = "{client}/reader", roles = ["use"] }}]\n'
            f'[[partitions]]\nid = 2\nname = "second"\n'
            f'clients = [{{ identity = "{client}/other", roles = ["use", "manage"] }}]\n'
        )
