"""Bodies of INFO, STATUS, CHECK, EVENTS, USAGE and RANDOM (0x00xx)."""

from typing import Annotated

import msgspec

from hsm_wire import limits
from hsm_wire.forms import U32, U63, Body, Degrees, Measure, Name, TypeName


class MechanismInfo(Body, frozen=True):
    """One mechanism that the cluster offers: every node can do it, but for those that lack what stored keys need."""

    number: U32
    name: Name
    usages: U32


class InfoResult(Body, frozen=True):
    """Answer to INFO."""

    cluster: Name
    node: Name
    software: Name
    mechanisms: list[MechanismInfo]
    key_types: list[TypeName]


class PathReport(Body, frozen=True):
    """One way to a node, as a proxy sees it."""

    uplink: Name
    state: Name
    """up or down."""
    reason: Name = ""
    """Why it is down; empty when it is up."""


class NodeReport(Body, frozen=True):
    """One node, as a proxy sees it."""

    name: Name
    site: Name
    state: Name
    """Operational state."""
    administrative_state: Name
    reason: Name
    """Why the state is what it is; empty when all is well."""
    weight: U32
    in_flight: U32
    window: U32
    requests: U63
    """Answers that this node gave to clients' requests since the proxy started."""
    failures: U63
    """Requests that had to leave this node since the proxy started."""
    paths: list[PathReport]
    store_fault: Name = ""
    """What its store lacks, or how it differs, compared with those of other nodes; empty where nothing was found."""
    outdated: bool = False
    """It reports that it is up, and is `stale` to the proxy because another node has seen what it has not: it serves
    only while no other node can."""
    requests_per_second: Measure = 0.0
    """Answers to clients' requests; this and the three that follow over the last 10 s."""
    share: Measure = 0.0
    """Its part of the answers of all nodes, 0 to 1."""
    p50_ms: Measure | None = None
    """Half of its answers took no longer, from the proxy and back; nil without answers."""
    p99_ms: Measure | None = None
    """The same of 99 in 100."""
    since_s: Measure = 0.0
    """For how long it has been in its two states."""
    in_rotation: bool = False
    """Requests are given to it now."""
    lag_records: U63 | None = None
    """How many writings of records it lacks that another node had seen when it was asked; nil: it is not reached."""
    lag_s: Measure | None = None
    """It has everything that was committed until so long before it was asked; nil: it is not reached, or has had no
    contact with its store."""
    backend: Name = ""
    """Where its keys are: `software` or `pkcs11`; empty: it has not said."""


class UplinkReport(Body, frozen=True):
    """One uplink of a site, as a proxy sees it."""

    name: Name
    state: Name
    """up: some node of the site answers over it; down: none does; unused: no node has a path over it."""


class SiteReport(Body, frozen=True):
    """One data centre."""

    name: Name
    role: Name
    """active or disaster-recovery."""
    risk_zone: Name
    uplinks: list[UplinkReport]
    latitude: Degrees | None = None
    longitude: Degrees | None = None


class PartitionReport(Body, frozen=True):
    """What a partition has used, as a proxy has heard from all nodes; each limit is nil where there is none."""

    name: Name
    signatures: U63
    """In the last 24 hours."""
    generations: U63
    """Keys generated in the last 24 hours."""
    stored_keys: U63
    """Keys that are not destroyed."""
    refused: U63
    """Requests that this proxy answered OVER_QUOTA since it started."""
    signatures_limit: U63 | None = None
    """In 24 hours."""
    generations_per_second: U63 | None = None
    stored_limit: U63 | None = None


class StoreMemberReport(Body, frozen=True):
    """One member of a distributed store, as the nodes see it that a proxy reaches."""

    address: Name
    usable_for: U32
    """How many nodes could use it..."""
    of: U32
    """...of how many that looked at it."""
    fault: Name = ""
    """Why one of the others could not."""


class StatusResult(Body, frozen=True):
    """Answer to STATUS, which the proxy itself gives."""

    proxy: Name
    site: Name
    cluster: Name
    software: Name
    uptime_ms: U63
    clients: U32
    nodes: list[NodeReport]
    now: Name = ""
    """The proxy's clock (RFC 3339, UTC)."""
    health: Name = ""
    """serving: all nodes serve that should; degraded: something is wrong, and requests are served; down: no node
    serves. Empty: the proxy is older than this field."""
    problems: list[Name] = msgspec.field(default_factory=list)
    """What is wrong, a sentence each; empty while it is `serving`."""
    requests_per_second: Measure = 0.0
    """Answers to clients, but for those to STATUS and EVENTS; rates and times are over the last 10 s."""
    p50_ms: Measure | None = None
    """Half of the answers took no longer, from the request's arrival at the proxy; nil without answers."""
    p99_ms: Measure | None = None
    """The same of 99 in 100."""
    failed_per_second: Measure = 0.0
    """Of these, answers with a status of class device or transport."""
    overloaded_per_second: Measure = 0.0
    """Of these, answers with a status of class overload."""
    in_flight: U32 = 0
    """Requests that are with nodes now."""
    waiting: U32 = 0
    """Requests that wait for a node now."""
    sites: list[SiteReport] = msgspec.field(default_factory=list)
    package: Name = ""
    """The service package."""
    shortfalls: list[Name] = msgspec.field(default_factory=list)
    """What the package promises and the cluster does not have now, a sentence each; empty while it has all."""
    partitions: list[PartitionReport] = msgspec.field(default_factory=list)
    """All of them for an operator; for others their own."""
    nodes_out: Annotated[list[Name], msgspec.Meta(max_length=limits.MAX_NODES_OUT)] = msgspec.field(
        default_factory=list
    )
    """Nodes that a change has waited for in vain, and that have not come back to the store since: answers to changes
    name them until they are back or removed. They may be out of the configuration by now."""
    store_members: list[StoreMemberReport] = msgspec.field(default_factory=list)
    """Of a distributed store."""
    durability: Name = ""
    """What OK waits for where a request does not say: `quorum`, or `dr`. Empty: the proxy is older than this field."""


class Check(Body, frozen=True):
    """CHECK: the deep check of a node by a proxy."""

    challenge: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    """New and random each time, so that no old answer will do."""


class CheckResult(Body, frozen=True):
    """Answer to CHECK: ECDSA with SHA-256 over the challenge, by a P-256 key that the node made at its start."""

    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
    """r || s, 32 bytes each."""
    public_key: Annotated[bytes, msgspec.Meta(min_length=65, max_length=65)]
    """The point, uncompressed (SEC 1, 2.3.3). It stays the same while the boot id in PONG does."""


class Events(Body, frozen=True):
    """EVENTS: what happened lately, as the proxy that answers has seen it."""

    after: U63 = 0
    """Number of the newest event that is known already: what follows is asked for. 0: the newest ones."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=limits.MAX_EVENTS_LIMIT)] = limits.DEFAULT_EVENTS_LIMIT


class EventReport(Body, frozen=True):
    """One event."""

    number: U63
    """Counted up by the proxy since its start."""
    at: Name
    """When (RFC 3339, UTC), by the proxy's clock."""
    severity: Name
    """info, warning or error."""
    site: Name
    """Where; empty where it is about no single site, and so is `node`."""
    node: Name
    what: Name
    """One sentence."""


class EventsResult(Body, frozen=True):
    """Answer to EVENTS, which the proxy itself gives: oldest first."""

    proxy: Name
    newest: U63
    """Number of the newest event; below `after` where the proxy has been restarted since: ask again from 0."""
    events: list[EventReport]


class UsageRow(Body, frozen=True):
    """What one node did for one partition in one period of five minutes."""

    node: Name
    partition: U32
    period: U32
    """Whole periods since 1970, by the node's clock."""
    signatures: U32
    """SIGN that succeeded."""
    generations: U32
    """GENERATE_KEY and ROTATE_KEY that succeeded."""


class StoredRow(Body, frozen=True):
    """How many keys of a partition a node holds."""

    partition: U32
    keys: U63


class UsageReport(Body, frozen=True):
    """USAGE: what a proxy has heard from other nodes, and a question for what this node knows."""

    boot_id: Annotated[bytes, msgspec.Meta(max_length=16)] = b""
    """Of the process that `after` is about."""
    after: U63 = 0
    """Number of the last change that the proxy has from it; another process tells everything."""
    rows: Annotated[list[UsageRow], msgspec.Meta(max_length=limits.MAX_USAGE_ROWS)] = msgspec.field(
        default_factory=list
    )
    """Of two rows for one node, partition and period the larger counts hold."""


class UsageNews(Body, frozen=True):
    """Answer to USAGE."""

    boot_id: Annotated[bytes, msgspec.Meta(max_length=16)]
    """Of the process that answers: random, new at every start."""
    newest: U63
    """To be named as `after` next time."""
    more: bool
    """There is more: it is to be asked for at once."""
    rows: Annotated[list[UsageRow], msgspec.Meta(max_length=limits.MAX_USAGE_ROWS)]
    stored: list[StoredRow] = msgspec.field(default_factory=list)


class Random(Body, frozen=True):
    """RANDOM: that many random bytes."""

    length: Annotated[int, msgspec.Meta(ge=1, le=limits.MAX_RANDOM_BYTES)]


class RandomResult(Body, frozen=True):
    """Answer to RANDOM."""

    data: bytes
