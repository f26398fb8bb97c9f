"""The rules of cluster.toml: each violation by name and number, all of them at once."""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from itertools import chain, combinations
from math import floor

from hsm_cluster.distance import great_circle_km
from hsm_cluster.packages import PACKAGES, Package, Quota
from hsm_cluster.topology import Grant, Node, Site, Topology

MIN_DISTANCE_KM = 20.0  # between two active sites, and between the DR site and every other
MIN_UPLINKS = 2  # a site
MIN_ACTIVE_SITES = 2
MAX_WEIGHT = 1000  # no unit; a thousandfold share is beyond any sensible mix of devices
MAX_PARTITION_ID = 0xFFFF_FFFF  # the wire carries 32 bits; 0 is the operators'
CLIENT_ROLES = frozenset({"use", "manage", "audit"})
OPERATOR_ROLES = frozenset({"operate"})

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_CLUSTER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")  # it is the trust domain of SPIFFE ids: lower case only


def violations(topology: Topology) -> list[str]:
    """Return every rule that the file breaks, each with what to do; empty when there is none."""
    package = PACKAGES.get(topology.cluster.package)
    found = chain(_names(topology), _nodes(topology), _identities(topology), _durability(topology))
    if package is None:
        known = ", ".join(PACKAGES)
        return [f"package {topology.cluster.package!r} is unknown: use one of {known}", *found]
    found = chain(found, _quotas(topology, package), _node_count(topology, package))
    return [*found, *_redundancy(topology, package)]


def _names(topology: Topology) -> Iterator[str]:
    if not _CLUSTER_NAME.fullmatch(topology.cluster.name):
        yield f"cluster name {topology.cluster.name!r}: use 1-63 of a-z 0-9 . _ -"
    for kind, names in (
        ("site", [site.name for site in topology.sites]),
        ("node", [node.name for node in topology.nodes]),
        ("partition", [partition.name for partition in topology.partitions]),
    ):
        for name in names:
            if not _NAME.fullmatch(name):
                yield f"{kind} name {name!r}: use 1-63 of A-Z a-z 0-9 . _ -"
        yield from (f"{kind} {name!r} is there twice: give each its own name" for name in _twice(names))
        if kind != "partition":  # Its name is for people only.
            for alike in _alike(names):
                yield f"{kind}s {alike} differ in case only: give each its own name"
    for partition in topology.partitions:
        if not 1 <= partition.id <= MAX_PARTITION_ID:
            yield f"partition {partition.name!r}: id {partition.id} is not in 1..{MAX_PARTITION_ID}"
    for number in _twice(partition.id for partition in topology.partitions):
        yield f"partition id {number} is there twice: give each partition its own"


def _nodes(topology: Topology) -> Iterator[str]:
    sites = {site.name: site for site in topology.sites}
    for node in topology.nodes:
        if not 1 <= node.weight <= MAX_WEIGHT:
            yield f"node {node.name!r}: weight {node.weight} is not in 1..{MAX_WEIGHT}"
        if not node.paths:
            yield f"node {node.name!r} has no path: add at least one"
        yield from (f"node {node.name!r} has two paths over uplink {u!r}" for u in _twice(p.uplink for p in node.paths))
        site = sites.get(node.site)
        if site is None:
            yield f"node {node.name!r} is at the unknown site {node.site!r}: add the site or correct the name"
        else:
            yield from _paths(node, site)
    addresses = [path.address for node in topology.nodes for path in node.paths]
    for address in _twice(addresses):
        spelled = " and as ".join(sorted({str(other) for other in addresses if other == address}))
        yield f"address {spelled} is there twice: each path of each node needs its own"


def _paths(node: Node, site: Site) -> Iterator[str]:
    for path in node.paths:
        if site.uplinks and path.uplink not in site.uplinks:
            yield f"node {node.name!r} has a path over {path.uplink!r}, which is no uplink of site {site.name!r}"
        if path.address.port == 0:
            yield f"node {node.name!r}: port 0 in {path.address}: name the port that the node listens on"


def _identities(topology: Topology) -> Iterator[str]:
    name = topology.cluster.name
    for partition in topology.partitions:
        for grant in partition.clients:
            yield from _grant(grant, f"partition {partition.name!r}", f"spiffe://{name}/client/", CLIENT_ROLES)
            if not grant.roles:
                yield f"partition {partition.name!r}: {grant.identity!r} has no role: add one of {_list(CLIENT_ROLES)}"
    for grant in topology.operators:
        # A client may be an operator as well: it keeps its partition.
        kind = "client" if grant.identity.startswith(f"spiffe://{name}/client/") else "operator"
        yield from _grant(grant, "operators", f"spiffe://{name}/{kind}/", OPERATOR_ROLES)
    for identity in _twice(grant.identity for partition in topology.partitions for grant in partition.clients):
        yield f"identity {identity!r} is there twice: an identity belongs to one partition"
    for identity in _twice(grant.identity for grant in topology.operators):
        yield f"operator {identity!r} is there twice: remove one"


def _grant(grant: Grant, place: str, prefix: str, roles: frozenset[str]) -> Iterator[str]:
    if not (grant.identity.startswith(prefix) and _NAME.fullmatch(grant.identity[len(prefix) :])):
        yield f"{place}: identity {grant.identity!r} must be {prefix}NAME"
    for role in grant.roles:
        if role not in roles:
            yield f"{place}: {grant.identity!r} has the unknown role {role!r}: use {_list(roles)}"


def _durability(topology: Topology) -> Iterator[str]:
    recovery = sum(site.role == "disaster-recovery" for site in topology.sites)
    if topology.cluster.durability == "dr" and recovery != 1:
        yield f'durability "dr" with {recovery} disaster-recovery sites: have one, or leave durability out'


def _quotas(topology: Topology, package: Package) -> Iterator[str]:
    for partition in topology.partitions:
        if partition.own_quota != Quota() and not package.own_quotas:
            yield (
                f"partition {partition.name!r} has quotas of its own: package {package.name} sets them by contract; "
                "remove signatures_per_minute, key_generations_per_second and stored_keys"
            )


def _node_count(topology: Topology, package: Package) -> Iterator[str]:
    dr_sites = {site.name for site in topology.sites if site.role == "disaster-recovery"}
    active = sum(node.site not in dr_sites for node in topology.nodes)
    if active < package.min_active_nodes:
        yield f"{active} active nodes: package {package.name} needs at least {package.min_active_nodes}"
    if package.max_active_nodes is not None and active > package.max_active_nodes:
        yield f"{active} active nodes: package {package.name} allows at most {package.max_active_nodes}"


def _redundancy(topology: Topology, package: Package) -> Iterator[str]:
    for site in topology.sites:
        yield from _place(site, needed=package.redundant_sites)
    if not package.dr_allowed:
        for site in topology.sites:
            if site.role == "disaster-recovery":
                yield f"disaster-recovery site {site.name!r}: package {package.name} has none; remove it"
    if not package.redundant_sites:
        return
    with_nodes = {node.site for node in topology.nodes}
    for site in topology.sites:
        if site.name not in with_nodes:
            yield f"site {site.name!r} has no node: add one or remove the site"
        uplinks = len({_plain(uplink) for uplink in site.uplinks})
        if uplinks < MIN_UPLINKS:
            noun = "uplink" if uplinks == 1 else "uplinks"
            yield f"site {site.name!r} has {uplinks} {noun}: it needs {MIN_UPLINKS}, add an internet connection"
    for zone in _twice(_plain(site.risk_zone) for site in topology.sites if _plain(site.risk_zone)):
        sharing = [site for site in topology.sites if _plain(site.risk_zone) == zone]
        shared = _list(site.name for site in sharing)
        spelled = _list({repr(site.risk_zone) for site in sharing})
        yield f"sites {shared} share the risk zone {spelled}: each site needs its own"
    yield from _distances(topology, package)


def _place(site: Site, *, needed: bool) -> Iterator[str]:
    if needed and not _plain(site.risk_zone):
        yield f"site {site.name!r} has no risk_zone: add it"
    for what, value, most in (("latitude", site.latitude, 90.0), ("longitude", site.longitude, 180.0)):
        if value is None:
            if needed:
                yield f"site {site.name!r} has no {what}: add it in degrees"
        elif not -most <= value <= most:
            yield f"site {site.name!r}: {what} {value} is not in -{most:g}..{most:g} degrees"


def _distances(topology: Topology, package: Package) -> Iterator[str]:
    active = [site for site in topology.sites if site.role == "active"]
    recovery = [site for site in topology.sites if site.role == "disaster-recovery"]
    if len(active) < MIN_ACTIVE_SITES:
        yield f"{len(active)} active sites: package {package.name} needs at least {MIN_ACTIVE_SITES}"
    else:
        apart = [_apart(a, b) for a, b in combinations(active, 2)]
        known = [km for km in apart if km is not None]
        if len(known) == len(apart) and max(known) < MIN_DISTANCE_KM:
            names = _list(site.name for site in active)
            yield (
                f"active sites {names} are {_km(max(known))} km apart: "
                f"two of them must be {MIN_DISTANCE_KM:g} km or more apart"
            )
    if package.dr_required and not recovery:
        yield f'no disaster-recovery site: package {package.name} needs one (role = "disaster-recovery")'
    for site in recovery:
        for other in topology.sites:
            km = _apart(site, other)
            if other is not site and km is not None and km < MIN_DISTANCE_KM:
                yield (
                    f"disaster-recovery site {site.name!r} is {_km(km)} km from site {other.name!r}: "
                    f"it must be {MIN_DISTANCE_KM:g} km or more from every other"
                )


def _km(km: float) -> str:
    return f"{floor(km * 10) / 10:.1f}"  # Never rounded up to what would be enough.


def _apart(a: Site, b: Site) -> float | None:
    """Return the distance in km; None where a place is not known (which is a violation of its own)."""
    if a.latitude is None or a.longitude is None or b.latitude is None or b.longitude is None:
        return None
    return great_circle_km(a.latitude, a.longitude, b.latitude, b.longitude)


def _twice(values: Iterable[Hashable]) -> list[Hashable]:
    return [value for value, count in Counter(values).items() if count > 1]


def _plain(text: str) -> str:
    """Return what people read in it: "ZH" and "zh " are one place."""
    return " ".join(text.split()).casefold()


def _alike(names: Iterable[str]) -> Iterator[str]:
    """Return lists of different names that are one where case is not looked at, as in DNS and in people's ears."""
    different = sorted(set(names))
    for plain in _twice(name.casefold() for name in different):
        yield _list(repr(name) for name in different if name.casefold() == plain)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
