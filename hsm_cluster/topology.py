"""The forms of cluster.toml, as written."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from hsm_cluster.address import Address
from hsm_cluster.packages import Quota

Durability = Literal["quorum", "dr"]
Share = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A data centre. Place, risk zone and uplinks may only be left out in a sandbox."""

    name: str
    """1 to 63 of A-Z a-z 0-9 . _ -, like every name but the cluster's."""
    role: Literal["active", "disaster-recovery"] = "active"
    """A disaster-recovery site is 20 km or more from every other."""
    risk_zone: str = ""
    """What may be lost together; no two sites share one, whatever its case and blanks."""
    latitude: float | None = None
    """-90 to 90. Two active sites are 20 km or more apart."""
    longitude: float | None = None
    """-180 to 180."""
    uplinks: tuple[str, ...] = ()
    """Names of its internet connections, two or more. Paths of its nodes name one."""


class Path(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to reach a node."""

    uplink: str
    """One of the site's; each only once in a node."""
    address: Address
    """Where proxies reach the node over it; each address only once in the file."""


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One HSM node; it gets requests in proportion to its weight."""

    name: str
    """As in the node's own node.toml, and in its certificate."""
    site: str
    """Name of one of the sites."""
    paths: tuple[Path, ...]
    """One or more; the first that works is used."""
    weight: int = 1
    """1 to 1000: its share of the requests, beside the others'."""


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an identity may do. Operators need no roles: theirs is `operate`."""

    identity: str
    """`spiffe://CLUSTER/client/NAME`, as in the certificate; of an operator also `spiffe://CLUSTER/operator/NAME`."""
    roles: tuple[str, ...] = ()
    """Of a client one or more of `use`, `manage`, `audit`; of an operator nothing or `operate`."""


class Partition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tenant: its keys are seen by its clients only."""

    id: int
    """1 to 2^32-1. Its keys belong to this number: never give it to another tenant."""
    name: str
    """For people only."""
    clients: tuple[Grant, ...] = ()
    """An identity is in one partition."""
    signatures_per_minute: Share | None = None
    """As a mean over 24 hours. This and the two that follow may be set in the packages `dedicated` and `sandbox` only,
    and limit nothing where they are not; the other packages have their own."""
    key_generations_per_second: Share | None = None
    """With a burst of 5."""
    stored_keys: Share | None = None
    """Keys that are not destroyed."""

    @property
    def own_quota(self) -> Quota:
        """What the file says of it."""
        return Quota(self.signatures_per_minute, self.key_generations_per_second, self.stored_keys)


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The table [cluster]."""

    name: str
    """1 to 63 of a-z 0-9 . _ -: the trust domain of every SPIFFE id."""
    package: str
    """`sandbox`, `economy`, `platinum` or `dedicated`: which of the rules hold."""
    durability: Durability = "quorum"
    """When a request that makes or changes something is answered OK, where it does not say itself: as soon as the store
    has it, or not before the disaster-recovery site has it too."""
    usage_since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """What partitions used before this moment is forgotten: the way out when a node told what was not so. As in
    `2030-01-31T12:00:00Z`."""


class Topology(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    cluster: Head
    """What the file is of."""
    sites: tuple[Site, ...] = ()
    """Data centres."""
    nodes: tuple[Node, ...] = ()
    """Two to four active ones; one in a sandbox, any number in `dedicated`."""
    partitions: tuple[Partition, ...] = ()
    """Tenants."""
    operators: tuple[Grant, ...] = ()
    """Who administers; a client may be one as well."""
