"""cluster.toml, loaded and checked: where everything is and who may do what."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hsm_cluster.errors import ConfigurationError
from hsm_cluster.packages import PACKAGES, Package, Quota
from hsm_cluster.rules import OPERATOR_ROLES, violations
from hsm_cluster.toml_file import load_toml
from hsm_cluster.topology import Durability, Grant, Node, Partition, Site, Topology

OPERATORS_PARTITION = 0


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: an identity, its partition (0: an operator) and its roles."""

    identity: str
    partition: int
    roles: frozenset[str]


@dataclass(frozen=True)
class Cluster:
    """A checked topology."""

    name: str
    package: Package
    sites: tuple[Site, ...]
    nodes: tuple[Node, ...]
    partitions: tuple[Partition, ...]
    operators: tuple[Grant, ...]
    durability: Durability
    usage_since_s: float  # since 1970; what was used before is forgotten
    configuration_hash: str  # hex SHA-256; the same for files that differ only in order, layout or comments
    _principals: dict[str, Principal] = field(repr=False)

    def principal_of(self, identity: str) -> Principal | None:
        """Return what that identity may do; None when the file does not name it."""
        return self._principals.get(identity)

    def node(self, name: str) -> Node:
        """Return a node by name; ConfigurationError when there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in self.nodes)
        raise ConfigurationError(f"cluster {self.name} has no node {name!r}; it has: {known}")

    def quota_of(self, partition: Partition) -> Quota:
        """Return what a partition may use: what the package gives it, or where packages are agreed, the file."""
        return partition.own_quota if self.package.own_quotas else self.package.quota

    @property
    def recovery_sites(self) -> list[str]:
        """Names of the sites for disaster recovery."""
        return [site.name for site in self.sites if site.role == "disaster-recovery"]

    def site(self, name: str) -> Site:
        """Return a site by name; ConfigurationError when there is none."""
        for site in self.sites:
            if site.name == name:
                return site
        known = ", ".join(site.name for site in self.sites)
        raise ConfigurationError(f"cluster {self.name} has no site {name!r}; it has: {known}")


def load_cluster(path: Path, content: bytes | None = None) -> Cluster:
    """Read cluster.toml, or take what was read of it; ConfigurationError names every violated rule, in one line."""
    topology = load_toml(path, Topology, content)
    broken = violations(topology)
    if broken:
        raise ConfigurationError(f"{path}: {'; '.join(broken)}")
    return Cluster(
        name=topology.cluster.name,
        package=PACKAGES[topology.cluster.package],
        sites=topology.sites,
        nodes=topology.nodes,
        partitions=topology.partitions,
        operators=topology.operators,
        durability=topology.cluster.durability,
        usage_since_s=since.timestamp() if (since := topology.cluster.usage_since) else 0.0,
        configuration_hash=_hash(topology),
        _principals=_principals(topology),
    )


def _principals(topology: Topology) -> dict[str, Principal]:
    clients = [
        Principal(grant.identity, partition.id, frozenset(grant.roles))
        for partition in topology.partitions
        for grant in partition.clients
    ]
    found = {principal.identity: principal for principal in clients}
    for grant in topology.operators:
        client = found.get(grant.identity)
        partition, roles = (
            (OPERATORS_PARTITION, frozenset[str]()) if client is None else (client.partition, client.roles)
        )
        found[grant.identity] = Principal(grant.identity, partition, roles | OPERATOR_ROLES)
    return found


def _hash(topology: Topology) -> str:
    # The order of tables and names in a file means nothing, so it must not make two hosts look different. Nor does a
    # default that is written out, of what [cluster] got later.
    canonical = {
        "cluster": topology.cluster,
        "sites": sorted(
            (msgspec.structs.replace(s, uplinks=tuple(sorted(s.uplinks))) for s in topology.sites),
            key=lambda site: site.name,
        ),
        "nodes": sorted(
            (msgspec.structs.replace(n, paths=tuple(sorted(n.paths, key=lambda p: p.uplink))) for n in topology.nodes),
            key=lambda node: node.name,
        ),
        "partitions": sorted(
            (msgspec.structs.replace(p, clients=_sorted_grants(p.clients)) for p in topology.partitions),
            key=lambda partition: partition.id,
        ),
        # `roles` of an operator is optional and says nothing: it is always `operate`.
        "operators": sorted(grant.identity for grant in topology.operators),
    }
    return hashlib.sha256(msgspec.json.encode(canonical, order="deterministic", enc_hook=str)).hexdigest()


def _sorted_grants(grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
    rows = (Grant(grant.identity, tuple(sorted(set(grant.roles)))) for grant in grants)
    return tuple(sorted(rows, key=lambda grant: grant.identity))
