"""Two active sites and one for disaster recovery, each a network of its own: etcd members, nodes, proxies.

As `hsmctl dev --store etcd` has it, with less: zurich has two nodes and a proxy, geneva one of each, alps a node.
"""

import contextlib
import os
import signal
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from cluster import NAME, Cluster
from etcd import EtcdCluster, Member
from programs import Program, wait_until
from site_networks import SiteNetworks, inside

from hsm_cluster.address import Address

ACTIVE = ("zurich", "geneva")
DR = "alps"
SITES = (*ACTIVE, DR)
_SITE_TOML = {
    "zurich": 'risk_zone = "CH-ZH"\nlatitude = 47.3769\nlongitude = 8.5417\n',
    "geneva": 'risk_zone = "CH-GE"\nlatitude = 46.2044\nlongitude = 6.1432\n',
    "alps": 'risk_zone = "CH-VS"\nlatitude = 46.2276\nlongitude = 7.3586\nrole = "disaster-recovery"\n',
}
_SITE_OF = {
    "node-1": "zurich", "node-2": "zurich", "node-3": "geneva", "node-4": "alps", "proxy-1": "zurich",
    "proxy-2": "geneva",
}  # fmt: skip
START_S = 60.0
"""For everything at once, on a machine that does other work as well."""


ACTIVE_NODES = tuple(node for node, site in _SITE_OF.items() if node.startswith("node") and site in ACTIVE)


def site_of(name: str) -> str:
    """Return the site of a daemon."""
    return _SITE_OF[name]


class SiteProgram(Program):
    """A daemon at a site. Its admin page is on loopback there."""

    def __init__(self, made: Program, networks: SiteNetworks, site: str) -> None:
        super().__init__(made.name, made.module, made.config, made.port, made.admin_port, made.event_loop)
        self.networks = networks
        self.site = site

    def command(self) -> list[str]:
        """Return the command line."""
        return self.networks.command(self.site, super().command())

    def wait_ready(self) -> None:
        """Wait until /readyz says yes."""
        with inside(self.networks.namespaces[self.site]):
            super().wait_ready()

    def status(self) -> dict[str, Any]:
        """Return the admin server's /status."""
        with inside(self.networks.namespaces[self.site]):
            return super().status()

    def signal(self, number: signal.Signals) -> None:
        """Send SIGSTOP or SIGCONT."""
        os.kill(self.pid, number)


class SiteMember(Member):
    """A member of the store at a site."""

    def __init__(self, cluster: "SiteStore", number: int) -> None:
        self.site = SITES[number - 1]
        self._networks = cluster.networks
        super().__init__(cluster, number, cluster.networks.addresses[self.site])
        self.name = f"etcd-{self.site}"
        self.data, self.log = cluster.folder / self.name, cluster.folder / f"{self.name}.log"

    def command(self) -> list[str]:
        """Return the command line."""
        return self._networks.command(self.site, super().command())

    def page(self, path: str) -> tuple[int, bytes]:
        """GET what it says of itself."""
        with inside(self._networks.namespaces[self.site]):
            return super().page(path)


class SiteStore(EtcdCluster):
    """A member at each site."""

    def __init__(self, folder: Path, networks: SiteNetworks, lifetime: timedelta) -> None:
        self.networks = networks
        super().__init__(folder, len(SITES), tls=True, flags=("--pre-vote",), lifetime=lifetime)

    def make_member(self, number: int) -> SiteMember:
        """Return the member of the site with that number."""
        return SiteMember(self, number)

    def toml_at(self, site: str) -> str:
        """Return the value of `store` for a node there: the member of its own site first."""
        near_first = sorted(self.members, key=lambda member: SITES[self.members.index(member)] != site)
        endpoints = ", ".join(f'"{member.address}"' for member in near_first)
        recovery = self.members[SITES.index(DR)].address
        assert self.client is not None
        tls = self.client.as_toml()
        return f'{{ driver = "etcd", endpoints = [{endpoints}], dr_endpoint = "{recovery}", tls = {tls} }}'

    def ctl_inside(self, site: str, *arguments: str) -> Any:
        """Ask the member of a site from there, whatever its network does; return what it says as JSON."""
        member = self.members[SITES.index(site)]
        return self.ctl_says(self.networks.command(site, self.ctl_command(*arguments, member=member)))


class StoreCluster(Cluster):
    """See the module. `networks` has the faults between sites; `store` the members, in the order of SITES."""

    def __init__(
        self,
        folder: Path,
        *,
        lifetime: timedelta = timedelta(hours=1),
        settings: str = "",
        durability: str = "quorum",
    ) -> None:
        """Make networks and files; nothing is started."""
        self._durability = durability
        self.networks = SiteNetworks(SITES)
        try:
            self.store_members = SiteStore(folder / "etcd", self.networks, lifetime)
            nodes = folder / "nodes"
            nodes.mkdir()
            super().__init__(nodes, "uvloop", nodes=4, proxies=2, settings=settings, lifetime=lifetime)
            for node in self.nodes:
                self.write_node(node, store=self.store_members.toml_at(self.site_of(node)))
        except BaseException:
            self.networks.close()
            raise

    def start(self) -> None:
        """Start everything and wait until all nodes are in rotation."""
        self.store_members.start()
        super().start()

    def stop(self) -> None:
        """End everything, whatever state it is in, and take the networks away."""
        super().stop()
        self.store_members.stop()
        self.networks.close()

    @property
    def active(self) -> list[Program]:
        """The nodes that take requests."""
        return [node for node in self.nodes if node.name in ACTIVE_NODES]

    @property
    def members(self) -> dict[str, Member]:
        """The store's members by their sites."""
        return dict(zip(SITES, self.store_members.members, strict=True))

    def at(self, site: str) -> list[Program]:
        """Return the daemons of a site: nodes, then proxies."""
        return [program for program in (*self.nodes, *self.proxies) if self.site_of(program) == site]

    def leading_site(self) -> str:
        """Return the site whose member leads now."""
        leader = self.store_members.leader()
        return next(site for site, member in self.members.items() if member is leader)

    def lead(self, site: str) -> None:
        """Let the member of a site lead."""
        target = self.members[site]

        def leads() -> bool:
            leader = self.store_members.leader()
            with contextlib.suppress(AssertionError):  # It has just come back, or another one leads by now.
                if leader is not target:
                    [status] = self.store_members.ctl("endpoint", "status", member=target)
                    number = status["Status"]["header"]["member_id"]
                    self.store_members.ctl("move-leader", f"{number:x}", member=leader)
            return leader is target

        wait_until(leads, lambda: f"the member of {site} leads")

    def kill_sites_at_once(self, sites: Iterable[str]) -> None:
        """Kill all processes of several sites, before any of them notices."""
        pids = [program.pid for site in sites for program in (self.members[site], *self.at(site))]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for site in sites:
            self.kill_site(site)

    def kill_site(self, site: str) -> None:
        """Kill all processes of a site."""
        self.members[site].kill()
        for program in self.at(site):
            program.kill()

    def start_site(self, site: str) -> None:
        """Start them again."""
        self.members[site].start()
        for program in self.at(site):
            program.start()
        for program in self.at(site):
            program.wait_ready()

    def states(self, proxy: Program | None = None) -> dict[str, str]:
        """Return the active nodes' operational states as a proxy (None: the first one) sees them."""
        return {name: state for name, state in super().states(proxy).items() if name in ACTIVE_NODES}

    def wait_current(self, nodes: Iterable[Program] = ()) -> None:
        """Wait until each of these nodes (none: all) is in contact with the store."""
        for node in [*nodes] or self.active:

            def current(node: Program = node) -> bool:
                with contextlib.suppress(AssertionError):
                    return bool(node.status()["state"] == "up")
                return False

            wait_until(current, lambda node=node: f"{node.name} is current: {node.log()[-2000:]}")  # type: ignore[misc]

    def address_of(self, program: Program) -> str:
        """Return where a daemon serves."""
        return str(Address(self.networks.addresses[self.site_of(program)], program.port))

    def site_of(self, program: Program) -> str:
        """Return the site that a daemon is at."""
        return _SITE_OF[program.name]

    def write_topology(self, addresses: object = None) -> None:
        """Write cluster.toml."""
        sites = "".join(
            f'[[sites]]\nname = "{name}"\n{_SITE_TOML[name]}uplinks = ["isp-a", "isp-b"]\n' for name in SITES
        )
        nodes = "".join(
            f'[[nodes]]\nname = "{node.name}"\nsite = "{self.site_of(node)}"\nweight = 1\n'
            f'paths = [{{ uplink = "isp-a", address = "{self.address_of(node)}" }}]\n'
            for node in self.nodes
        )
        (self.folder / "cluster.toml").write_text(
            f'[cluster]\nname = "{NAME}"\npackage = "dedicated"\ndurability = "{self._durability}"\n'
            f"{sites}{nodes}"
            f'[[partitions]]\nid = 1\nname = "first"\n'
            f'clients = [{{ identity = "spiffe://{NAME}/client/app", roles = ["use", "manage"] }}]\n'
            f'[[operators]]\nidentity = "spiffe://{NAME}/operator/operator"\nroles = ["operate"]\n'
        )

    def _program(self, name: str, module: str) -> Program:
        made = super()._program(name, module)
        return SiteProgram(made, self.networks, _SITE_OF[name])
