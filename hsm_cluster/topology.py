"""Sites, nodes and the paths that lead to them."""

from dataclasses import dataclass

from hsm_cluster.address import Address

ACTIVE = "active"
DISASTER_RECOVERY = "disaster-recovery"


@dataclass(frozen=True, slots=True)
class Site:
    """A data centre."""

    name: str
    role: str
    """`active` or `disaster-recovery`."""
    risk_zone: str
    latitude: float | None
    """Degrees; None where not given."""
    longitude: float | None
    uplinks: tuple[str, ...]
    """Its internet connections."""


@dataclass(frozen=True, slots=True)
class Path:
    """One way to a node."""

    uplink: str
    address: Address


@dataclass(frozen=True, slots=True)
class Node:
    """An HSM node."""

    name: str
    site: str
    weight: int
    paths: tuple[Path, ...]
