"""Bodies of the frames that speak of the connection itself: HELLO to UNBIND."""

from typing import Annotated

import msgspec

from hsm_wire import limits
from hsm_wire.forms import U16, U32, U63, Body, Name


class Hello(Body, frozen=True):
    """First frame of whoever opened the connection."""

    min_version: U16
    max_version: U16
    max_frame_bytes: U32
    """Largest length field the sender takes."""
    max_in_flight: U32
    """Most requests the sender wants in flight."""
    name: Name
    """Software and version, for logs; no identity: that is in the certificate."""
    configuration_hash: Name = ""
    """Hex SHA-256 of the sender's cluster configuration; empty from clients."""


class Welcome(Body, frozen=True):
    """Answer to HELLO: what holds on this connection, the smaller of both wishes."""

    version: U16
    max_frame_bytes: U32
    max_in_flight: U32
    name: Name
    configuration_hash: Name = ""


class StoreMember(Body, frozen=True):
    """A member of a distributed store, as a node sees it that looks at all of them."""

    address: Name
    fault: Name = ""
    """Why it cannot be used; empty: nothing is wrong with it."""


class Pong(Body, frozen=True):
    """Answer to PING, and a node's report on itself. A proxy fills in what it has."""

    boot_id: Annotated[bytes, msgspec.Meta(max_length=16)]
    """Random, new at every start of the process."""
    queue_depth: U32
    """Requests that wait for a session."""
    sessions: U32
    """Operations that can run side by side."""
    window: U32
    """Requests in flight that the node wants at most from this connection's sender."""
    completed: U63
    """Requests for which work was done since start: progress."""
    generating: U32 = 0
    """Key generations running or queued in their own pool."""
    applied_revision: U63 = 0
    """Revision of the store that the node has applied."""
    cluster_id: Annotated[bytes, msgspec.Meta(max_length=16)] = b""
    epoch: U63 = 0
    store_contact: Name = "current"
    """`current` or `stale`."""
    state: Name = "up"
    """Operational state: up, stale, lacking, down, sealed, locked, standby, fenced. `lacking`: it cannot use all keys
    that are stored, and is to serve only while no other node can."""
    administrative_state: Name = "ready"
    """ready, drain or maintain."""
    seen_digest: Annotated[bytes, msgspec.Meta(max_length=16)] = b""
    """Stands for every record that the node has seen, each in its newest state: at one applied revision the same on all
    nodes of a store. Empty: the node keeps no such memory."""
    seen_revision: U63 = 0
    """Highest revision that it has seen; above the applied one if the store was rolled back."""
    seen_writes: U63 = 0
    """How often the records that it has seen were written, in all: who has seen fewer was not shown something."""
    lag_ms: U32 | None = None
    """It has everything that was committed until so long ago. nil: it has had no contact with its store yet."""
    nodes_out: Annotated[list[Name], msgspec.Meta(max_length=limits.MAX_NODES_OUT)] = msgspec.field(
        default_factory=list
    )
    """Nodes that a change has waited for in vain, and that have not come back to the store since: answers to changes
    name them. They may be out of the configuration by now."""
    store_members: Annotated[list[StoreMember], msgspec.Meta(max_length=limits.MAX_STORE_MEMBERS)] = msgspec.field(
        default_factory=list
    )
    """Of a distributed store, whether the node uses them or not."""
    reason: Name = ""
    """Why its state is what it is, or what it lacks; empty where there is nothing to say."""
    backend: Name = ""
    """Where the keys are: `software` or `pkcs11`; empty: it does not say."""


class Goaway(Body, frozen=True):
    """The sender takes no new requests (as server) or sends none (as client)."""

    reason: Name = ""


class Bind(Body, frozen=True):
    """Proxy to node: from now on, `number` in the principal field means this identity."""

    number: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF_FFFF)]
    identity: Name
    partition: U32
    """0 = none (an operator)."""
    roles: Annotated[list[Name], msgspec.Meta(max_length=8)]
    certificate_sha256: Annotated[bytes, msgspec.Meta(max_length=32)]
    """Empty where TLS is off."""
    not_after: U63
    """End of the certificate, seconds since 1970; 0 where TLS is off."""


class Unbind(Body, frozen=True):
    """The number of an earlier BIND is no longer used."""

    number: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF_FFFF)]
