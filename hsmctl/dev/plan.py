"""Which daemons a development cluster has, and where they listen."""

import random
import socket
from pathlib import Path
from typing import Final

import msgspec

from hsmctl.failures import CommandError

CLUSTER: Final = "dev"
SITE: Final = "local"
CLIENT_IDENTITY: Final = f"spiffe://{CLUSTER}/client/dev"
OPERATOR_IDENTITY: Final = f"spiffe://{CLUSTER}/operator/dev"

FIRST_PORT: Final = 15_000
LAST_PORT: Final = 32_000
"""Below the range that Linux takes the ports of outgoing connections from, so that none is lost between choice
and use."""
MAX_PORT_TRIES: Final = 1000


class Site(msgspec.Struct, frozen=True):
    """Where daemons are said to be."""

    name: str
    risk_zone: str
    latitude: float
    longitude: float
    uplinks: tuple[str, ...]
    role: str = "active"

    @property
    def is_standby(self) -> bool:
        """Whether its nodes take no requests."""
        return self.role == "disaster-recovery"


HERE: Final = Site(SITE, "this-machine", 47.3769, 8.5417, ("loopback",))
"""The only site of a cluster on SQLite."""


class StoreMember(msgspec.Struct, frozen=True):
    """A member of etcd."""

    name: str
    site: str
    port: int
    peer_port: int
    admin_port: int

    @property
    def address(self) -> str:
        """Where it serves nodes."""
        return f"127.0.0.1:{self.port}"

    @property
    def peer(self) -> str:
        """Where it serves the other members."""
        return f"127.0.0.1:{self.peer_port}"

    @property
    def admin(self) -> str:
        """Where it says how it is."""
        return f"127.0.0.1:{self.admin_port}"


class Member(msgspec.Struct, frozen=True):
    """One daemon. `module` is what Python runs."""

    name: str
    kind: str
    """`node` or `proxy`."""
    module: str
    port: int
    admin_port: int
    site: str = SITE

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"127.0.0.1:{self.port}"

    @property
    def admin(self) -> str:
        """Where its admin HTTP server is."""
        return f"127.0.0.1:{self.admin_port}"

    @property
    def identity(self) -> str:
        """Its SPIFFE id."""
        return f"spiffe://{CLUSTER}/{self.kind}/{self.name}"


class Plan(msgspec.Struct, frozen=True):
    """The whole cluster."""

    nodes: tuple[Member, ...]
    proxies: tuple[Member, ...]
    tls: bool
    event_loop: str | None
    sites: tuple[Site, ...] = (HERE,)
    package: str = "sandbox"
    stores: tuple[StoreMember, ...] = ()
    """Empty with SQLite."""
    softhsm: Path | None = None
    """The library of SoftHSM2, in whose tokens the nodes' keys are; None: they are in software."""

    @property
    def active_nodes(self) -> int:
        """How many nodes take requests."""
        return sum(not self.is_standby(node) for node in self.nodes)

    def is_standby(self, member: Member) -> bool:
        """Whether it is at the DR site."""
        return any(site.name == member.site and site.is_standby for site in self.sites)

    @property
    def members(self) -> tuple[Member, ...]:
        """All daemons, in the order to start them in."""
        return (*self.nodes, *self.proxies)


def make_plan(nodes: int, proxies: int, *, tls: bool, event_loop: str | None, softhsm: Path | None = None) -> Plan:
    """Return a plan on ports that are free now."""
    ports = free_ports(2 * (nodes + proxies))

    def members(kind: str, module: str, count: int) -> tuple[Member, ...]:
        return tuple(Member(f"{kind}-{n}", kind, module, ports.pop(), ports.pop()) for n in range(1, count + 1))

    return Plan(
        members("node", "hsm_node.cli", nodes),
        members("proxy", "proxy.cli", proxies),
        tls=tls,
        event_loop=event_loop,
        softhsm=softhsm,
    )


def free_ports(count: int) -> list[int]:
    """Return that many different loopback ports that nobody listens on."""
    found: set[int] = set()
    for _ in range(MAX_PORT_TRIES):
        if len(found) == count:
            return list(found)
        port = random.randrange(FIRST_PORT, LAST_PORT)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.add(port)
    raise CommandError(f"no {count} free ports between {FIRST_PORT} and {LAST_PORT} on 127.0.0.1; stop other programs")
