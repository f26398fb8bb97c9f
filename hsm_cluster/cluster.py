"""The whole of `cluster.toml`, checked: every violation is named, all at once."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Annotated, Literal

import msgspec

from hsm_cluster import rules
from hsm_cluster.access import NO_PARTITION, Grant, Partition, Principal
from hsm_cluster.address import Address
from hsm_cluster.errors import ConfigurationError
from hsm_cluster.packages import PACKAGES, Package
from hsm_cluster.toml_file import load_toml
from hsm_cluster.topology import ACTIVE, DISASTER_RECOVERY, Node, Path, Site

Name = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9._-]{0,62}$")]


class _Form(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Base of the file's tables."""


class _ClusterForm(_Form, frozen=True):
    name: Name
    package: Literal["sandbox", "economy", "platinum", "dedicated"]


class _SiteForm(_Form, frozen=True):
    name: Name
    role: Literal["active", "disaster-recovery"] = "active"
    risk_zone: str = ""
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)] | None = None
    uplinks: list[Name] = []


class _PathForm(_Form, frozen=True):
    address: str
    uplink: Name = "default"


class _NodeForm(_Form, frozen=True):
    name: Name
    site: Name
    paths: Annotated[list[_PathForm], msgspec.Meta(min_length=1, max_length=8)]
    weight: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1


class _GrantForm(_Form, frozen=True):
    identity: Annotated[str, msgspec.Meta(max_length=256)]
    roles: list[Literal["use", "manage", "audit"]]


class _PartitionForm(_Form, frozen=True):
    id: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF_FFFF)]
    name: Name
    clients: list[_GrantForm] = []


class _OperatorForm(_Form, frozen=True):
    identity: Annotated[str, msgspec.Meta(max_length=256)]


class _FileForm(_Form, frozen=True):
    cluster: _ClusterForm
    sites: Annotated[list[_SiteForm], msgspec.Meta(min_length=1, max_length=16)]
    nodes: Annotated[list[_NodeForm], msgspec.Meta(min_length=1, max_length=64)]
    partitions: list[_PartitionForm] = []
    operators: list[_OperatorForm] = []


@dataclass(frozen=True, slots=True)
class Cluster:
    """The topology and access rules that all daemons of a cluster share."""

    name: str
    package: Package
    sites: tuple[Site, ...]
    nodes: tuple[Node, ...]
    partitions: tuple[Partition, ...]
    operators: tuple[str, ...]
    configuration_hash: str
    """Hex SHA-256 of the file's meaning: comments and layout do not change it."""
    _principals: dict[str, Principal] = field(repr=False, hash=False, compare=False, default_factory=dict)

    def principal_of(self, identity: str) -> Principal | None:
        """Return what the identity is here, or None where it has no rights."""
        return self._principals.get(identity)

    def node(self, name: str) -> Node:
        """Return the node of that name.

        Raises:
            ConfigurationError: there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise ConfigurationError(f"cluster {self.name} has no node {name!r}; name one of its [[nodes]]")

    def site(self, name: str) -> Site:
        """Return the site of that name.

        Raises:
            ConfigurationError: there is none.
        """
        for site in self.sites:
            if site.name == name:
                return site
        raise ConfigurationError(f"cluster {self.name} has no site {name!r}; name one of its [[sites]]")

    @property
    def active_nodes(self) -> tuple[Node, ...]:
        """The nodes of active sites: those that a proxy balances over."""
        active = {site.name for site in self.sites if site.role == ACTIVE}
        return tuple(node for node in self.nodes if node.site in active)


def load_cluster(path: FilePath) -> Cluster:
    """Return the cluster that the file describes.

    Raises:
        ConfigurationError: it cannot be read or breaks a rule.
    """
    form = load_toml(path, _FileForm)
    try:
        cluster = _cluster(form)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    violations = rules.violations(cluster.package, cluster.sites, cluster.nodes, cluster.partitions, cluster.operators)
    if violations:
        raise ConfigurationError(f"{path}: " + "; ".join(violations))
    return cluster


def _cluster(form: _FileForm) -> Cluster:
    partitions = tuple(
        Partition(p.id, p.name, tuple(Grant(c.identity, tuple(c.roles)) for c in p.clients)) for p in form.partitions
    )
    principals = {
        grant.identity: Principal(grant.identity, partition.id, frozenset(grant.roles))
        for partition in partitions
        for grant in partition.clients
    }
    for operator in form.operators:
        principals[operator.identity] = Principal(operator.identity, NO_PARTITION, frozenset({"operate"}))
    canonical = msgspec.json.encode(form, order="sorted")
    return Cluster(
        name=form.cluster.name,
        package=PACKAGES[form.cluster.package],
        sites=tuple(Site(s.name, s.role, s.risk_zone, s.latitude, s.longitude, tuple(s.uplinks)) for s in form.sites),
        nodes=tuple(
            Node(n.name, n.site, n.weight, tuple(Path(p.uplink, Address.parse(p.address)) for p in n.paths))
            for n in form.nodes
        ),
        partitions=partitions,
        operators=tuple(operator.identity for operator in form.operators),
        configuration_hash=hashlib.sha256(canonical).hexdigest(),
        _principals=principals,
    )


__all__ = ["ACTIVE", "DISASTER_RECOVERY", "Cluster", "load_cluster"]
