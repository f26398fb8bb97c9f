"""Bodies of INFO, STATUS, CHECK and RANDOM (0x00xx)."""

from typing import Annotated

import msgspec

from hsm_wire import limits
from hsm_wire.forms import U32, U63, Body, Name, TypeName


class MechanismInfo(Body, frozen=True):
    """One mechanism that the cluster offers."""

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


class StatusResult(Body, frozen=True):
    """Answer to STATUS, which the proxy itself gives."""

    proxy: Name
    site: Name
    cluster: Name
    software: Name
    uptime_ms: U63
    clients: U32
    nodes: list[NodeReport]


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


class Random(Body, frozen=True):
    """RANDOM: that many random bytes."""

    length: Annotated[int, msgspec.Meta(ge=1, le=limits.MAX_RANDOM_BYTES)]


class RandomResult(Body, frozen=True):
    """Answer to RANDOM."""

    data: bytes
