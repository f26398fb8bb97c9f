"""The forms of cluster.toml, as written."""

from typing import Literal

import msgspec

from hsm_cluster.address import Address


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A data centre. Place, risk zone and uplinks may only be left out in a sandbox."""

    name: str
    role: Literal["active", "disaster-recovery"] = "active"
    risk_zone: str = ""
    latitude: float | None = None
    longitude: float | None = None
    uplinks: tuple[str, ...] = ()


class Path(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to reach a node."""

    uplink: str
    address: Address


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One HSM node; it gets requests in proportion to its weight."""

    name: str
    site: str
    paths: tuple[Path, ...]
    weight: int = 1


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an identity may do. Operators need no roles: theirs is `operate`."""

    identity: str
    roles: tuple[str, ...] = ()


class Partition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tenant: its keys are seen by its clients only."""

    id: int
    name: str
    clients: tuple[Grant, ...] = ()


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [cluster]."""

    name: str
    package: str


class Topology(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    cluster: Head
    sites: tuple[Site, ...] = ()
    nodes: tuple[Node, ...] = ()
    partitions: tuple[Partition, ...] = ()
    operators: tuple[Grant, ...] = ()
