"""The rules of a topology. Each returns its violations as sentences; an empty list is a sound cluster."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations

from hsm_cluster.access import Partition
from hsm_cluster.distance import great_circle_km
from hsm_cluster.packages import MIN_ACTIVE_SITES, MIN_SITE_DISTANCE_KM, MIN_UPLINKS, Package
from hsm_cluster.topology import ACTIVE, DISASTER_RECOVERY, Node, Site


def violations(
    package: Package,
    sites: Sequence[Site],
    nodes: Sequence[Node],
    partitions: Sequence[Partition],
    operators: Sequence[str],
) -> list[str]:
    """Return everything that is wrong with the cluster."""
    found = [*_names(sites, nodes, partitions, operators), *_membership(package, sites, nodes)]
    if package.geographic:
        found += _geography(sites)
    if package.disaster_recovery and not any(site.role == DISASTER_RECOVERY for site in sites):
        found.append(f"package {package.name} needs a site with role {DISASTER_RECOVERY!r}; add one")
    return found


def _twice(names: Iterable[object]) -> list[object]:
    return [name for name, count in Counter(names).items() if count > 1]


def _names(
    sites: Sequence[Site], nodes: Sequence[Node], partitions: Sequence[Partition], operators: Sequence[str]
) -> list[str]:
    identities = [grant.identity for partition in partitions for grant in partition.clients]
    found = [f"site {name!r} stands twice" for name in _twice(site.name for site in sites)]
    found += [f"node {name!r} stands twice" for name in _twice(node.name for node in nodes)]
    found += [f"partition id {number} stands twice" for number in _twice(p.id for p in partitions)]
    found += [f"partition {name!r} stands twice" for name in _twice(p.name for p in partitions)]
    found += [
        f"identity {identity!r} stands twice; an identity belongs to one partition or to the operators"
        for identity in _twice([*identities, *operators])
    ]
    found += [
        f"address {address} belongs to two paths"
        for address in _twice(path.address for node in nodes for path in node.paths)
    ]
    found += [
        f"identity {identity!r} is not of the form spiffe://CLUSTER/client/NAME"
        for identity in identities
        if not identity.startswith("spiffe://") or "/client/" not in identity
    ]
    found += [
        f"operator {identity!r} is not of the form spiffe://CLUSTER/operator/NAME"
        for identity in operators
        if not identity.startswith("spiffe://") or "/operator/" not in identity
    ]
    return found


def _membership(package: Package, sites: Sequence[Site], nodes: Sequence[Node]) -> list[str]:
    by_name = {site.name: site for site in sites}
    found = [
        f"node {node.name!r} stands in site {node.site!r}, which is not defined"
        for node in nodes
        if node.site not in by_name
    ]
    for node in nodes:
        site = by_name.get(node.site)
        if site is None or not site.uplinks:
            continue
        found += [
            f"node {node.name!r} has a path over uplink {path.uplink!r}, which site {site.name!r} does not have"
            for path in node.paths
            if path.uplink not in site.uplinks
        ]
    active = sum(1 for node in nodes if node.site in by_name and by_name[node.site].role == ACTIVE)
    if not package.min_active_nodes <= active <= package.max_active_nodes:
        found.append(
            f"{active} active nodes; package {package.name} has "
            f"{package.min_active_nodes} to {package.max_active_nodes}"
        )
    return found


def _geography(sites: Sequence[Site]) -> list[str]:
    found = []
    if sum(1 for site in sites if site.role == ACTIVE) < MIN_ACTIVE_SITES:
        found.append(f"fewer than {MIN_ACTIVE_SITES} active sites; one risk zone must not take all of them")
    found += [
        f"site {site.name!r} has fewer than {MIN_UPLINKS} uplinks" for site in sites if len(site.uplinks) < MIN_UPLINKS
    ]
    found += [f"site {site.name!r} has no risk_zone" for site in sites if not site.risk_zone]
    zones = _twice(site.risk_zone for site in sites if site.risk_zone)
    found += [f"risk zone {zone!r} holds two sites" for zone in zones]
    found += [
        f"site {site.name!r} has no latitude and longitude"
        for site in sites
        if site.latitude is None or site.longitude is None
    ]
    for one, other in combinations(sites, 2):
        if None in (one.latitude, one.longitude, other.latitude, other.longitude):
            continue
        apart = great_circle_km(one.latitude, one.longitude, other.latitude, other.longitude)  # type: ignore[arg-type]  # checked above
        if apart < MIN_SITE_DISTANCE_KM:
            found.append(
                f"sites {one.name!r} and {other.name!r} are {apart:.1f} km apart; at least {MIN_SITE_DISTANCE_KM:.0f}"
            )
    return found
