"""Service packages: what each asks of the topology and grants to a partition."""

from dataclasses import dataclass

MIN_SITE_DISTANCE_KM = 20.0
"""Data centres stand at least this far apart."""
MIN_ACTIVE_SITES = 2
MIN_UPLINKS = 2


@dataclass(frozen=True, slots=True)
class Package:
    """One package. Rates of 0 mean: not limited."""

    name: str
    min_active_nodes: int
    max_active_nodes: int
    geographic: bool
    """Whether sites, distances, risk zones and uplinks are checked."""
    disaster_recovery: bool
    """Whether a DR site is required."""
    signatures_per_minute: int = 0
    key_generations_per_second: int = 0


MANY_NODES = 64
"""`dedicated` leaves the number free; this bounds what a proxy must hold."""

PACKAGES: dict[str, Package] = {
    package.name: package
    for package in (
        Package("sandbox", 1, 4, geographic=False, disaster_recovery=False),
        Package("economy", 2, 4, True, True, 600, 1),
        Package("platinum", 2, 4, True, True, 12_000, 1),
        Package("dedicated", 1, MANY_NODES, geographic=True, disaster_recovery=False),
    )
}
