"""A whole cluster on loopback, of real processes: certificates, configuration, three nodes, one proxy or several."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
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
    partition), `operator` (administers)."""

    def __init__(
        self,
        folder: Path,
        event_loop: str,
        nodes: int = 3,
        *,
        proxies: int = 1,
        settings: str = "",
        lifetime: timedelta = timedelta(hours=1),
    ) -> None:
        """Write all files; nothing is started.

        Args:
            settings: tables to append to every proxy.toml.
            lifetime: of the certificates.
        """
        self.folder = folder
        self.event_loop = event_loop
        self.settings = settings
        self.authority = Authority(folder / "tls", lifetime)
        self.store = folder / "store.db"
        self.master_key = folder / "master.key"
        self.master_key.touch(mode=0o600)
        self.master_key.write_text(secrets.token_hex(32) + "\n")
        self.nodes = [self._program(f"node-{number}", "hsm_node.cli") for number in range(1, nodes + 1)]
        self.proxies = [self._program(f"proxy-{number}", "proxy.cli") for number in range(1, proxies + 1)]
        self.proxy_identity = self._identity("proxy", "proxy-1")
        self.write_topology()
        for node in self.nodes:
            self.write_node(node)
        for proxy in self.proxies:
            self._write_proxy(proxy)
        self.app = self._client("app")
        self.reader = self._client("reader")
        self.other = self._client("other")
        self.operator = self._client("operator", "operator")
        self.client_config = self.config_of("app")

    @property
    def proxy(self) -> Program:
        """The first proxy."""
        return self.proxies[0]

    def start(self) -> None:
        """Start everything and wait until all nodes are in rotation."""
        for program in (*self.nodes, *self.proxies):
            program.start()
        for program in (*self.nodes, *self.proxies):
            program.wait_ready()
        self.wait_in_rotation()

    def stop(self) -> None:
        """End everything, whatever state it is in."""
        for program in (*self.proxies, *self.nodes):
            program.kill()

    def wait_in_rotation(self) -> None:
        """Wait until each proxy sees every node up."""
        for proxy in self.proxies:
            wait_until(
                lambda proxy=proxy: all(state == "up" for state in self.states(proxy).values()),  # type: ignore[misc]
                lambda proxy=proxy: f"all nodes in rotation; the proxy's log:\n{proxy.log()[-3000:]}",  # type: ignore[misc]
            )

    def states(self, proxy: Program | None = None) -> dict[str, str]:
        """Return the nodes' operational states as a proxy (None: the first one) sees them."""
        return {node["name"]: node["state"] for node in (proxy or self.proxy).status()["nodes"]}

    def node_requests(self) -> dict[str, int]:
        """Return how many requests each node answered, as the proxy counts."""
        return {node["name"]: node["requests"] for node in self.proxy.status()["nodes"]}

    def run(self, main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Run a client of this cluster on the same kind of event loop as the daemons."""
        with asyncio.Runner(loop_factory=_LOOPS[self.event_loop]) as runner:
            return runner.run(main())

    def address_of(self, program: Program) -> str:
        """Return where a daemon serves."""
        return f"127.0.0.1:{program.port}"

    def site_of(self, program: Program) -> str:
        """Return the site that a daemon is at."""
        return "local"

    def config_of(self, client: str) -> Path:
        """Return that client's client.toml."""
        return self.folder / f"client-{client}.toml"

    def write_node(self, node: Program, **changes: str) -> None:
        """Write a node's configuration; `changes` replace single values, given as TOML."""
        values = {
            "cluster": f'"{self.folder / "cluster.toml"}"',
            "name": f'"{node.name}"',
            "listen": f'"{self.address_of(node)}"',
            "admin": f'"127.0.0.1:{node.admin_port}"',
            "tls": self._identity("node", node.name).as_toml(),
            "state_dir": f'"{self.folder / "state" / node.name}"',
            "store": f'{{ driver = "sqlite", path = "{self.store}" }}',
            "keystore": f'{{ backend = "software", master_key = {{ file = "{self.master_key}" }} }}',
            **changes,
        }
        node.config.write_text("".join(f"{key} = {value}\n" for key, value in values.items()))

    def renew(self, program: Program) -> None:
        """Give a daemon a new certificate and key in the files that it reads."""
        self._identity("node" if program in self.nodes else "proxy", program.name)

    def _identity(self, kind: str, name: str) -> Identity:
        return self.authority.issue(f"spiffe://{NAME}/{kind}/{name}", name)

    def _program(self, name: str, module: str) -> Program:
        return Program(name, module, self.folder / f"{name}.toml", free_port(), free_port(), self.event_loop)

    def _client(self, name: str, kind: str = "client") -> Identity:
        identity = self._identity(kind, name)
        addresses = ", ".join(f'"{self.address_of(proxy)}"' for proxy in self.proxies)
        self.config_of(name).write_text(
            f'proxies = [{addresses}]\nca = "{identity.ca}"\n'
            f'certificate = "{identity.certificate}"\nkey = "{identity.key}"\n'
        )
        return identity

    def _write_proxy(self, proxy: Program) -> None:
        identity = self.proxy_identity if proxy is self.proxy else self._identity("proxy", proxy.name)
        proxy.config.write_text(
            f'cluster = "{self.folder / "cluster.toml"}"\nname = "{proxy.name}"\nsite = "{self.site_of(proxy)}"\n'
            f'listen = "{self.address_of(proxy)}"\nadmin = "127.0.0.1:{proxy.admin_port}"\n'
            f"tls = {identity.as_toml()}\n{self.settings}"
        )

    def write_topology(self, addresses: Mapping[str, Sequence[str]] | None = None) -> None:
        """Write cluster.toml; `addresses` are those of a node that is reached otherwise than on its own port."""
        reached = {node.name: [self.address_of(node)] for node in self.nodes} | dict(addresses or {})
        uplinks = ["loopback", *(f"uplink-{number}" for number in range(2, 1 + max(map(len, reached.values()))))]
        names = ", ".join(f'"{uplink}"' for uplink in uplinks)
        nodes = ""
        for name, paths in reached.items():
            # The shortest decides: a node may have fewer paths than its site has uplinks.
            pairs = zip(uplinks, paths, strict=False)
            written = ", ".join(f'{{ uplink = "{uplink}", address = "{address}" }}' for uplink, address in pairs)
            nodes += f'[[nodes]]\nname = "{name}"\nsite = "local"\nweight = 1\npaths = [{written}]\n'
        client = f"spiffe://{NAME}/client"
        (self.folder / "cluster.toml").write_text(
            f'[cluster]\nname = "{NAME}"\npackage = "sandbox"\n'
            '[[sites]]\nname = "local"\nrisk_zone = "here"\nlatitude = 47.4\nlongitude = 8.5\n'
            f"uplinks = [{names}]\n"
            f"{nodes}"
            f'[[partitions]]\nid = 1\nname = "first"\nclients = ['
            f'{{ identity = "{client}/app", roles = ["use", "manage"] }}, '
            f'{{ identity = "{client}/reader", roles = ["use"] }}]\n'
            f'[[partitions]]\nid = 2\nname = "second"\n'
            f'clients = [{{ identity = "{client}/other", roles = ["use", "manage"] }}]\n'
            f'[[operators]]\nidentity = "spiffe://{NAME}/operator/operator"\nroles = ["operate"]\n'
        )
