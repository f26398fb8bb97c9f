"""Every limit and interval of the proxy, with its unit, default and reason (design.md section 5)."""

from typing import Annotated

import msgspec

from hsm_wire import limits as wire

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Bytes = Annotated[int, msgspec.Meta(ge=65_536, le=1 << 32)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
Share = Annotated[float, msgspec.Meta(ge=0, le=0.9)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What bounds a proxy's memory and its waits."""

    clients: Count = 10_000
    """Connections of clients at one time."""
    client_in_flight: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = wire.DEFAULT_MAX_IN_FLIGHT
    """Requests in flight of one connection; one more is answered OVERLOADED."""
    client_unread_bytes: Bytes = 8 << 20
    """Answers that wait for a client which does not read; beyond it the client is closed."""
    link_unsent_bytes: Bytes = 256 << 20
    """Requests that wait for a node which does not read; beyond it the link is closed."""
    max_frame_bytes: Annotated[int, msgspec.Meta(ge=wire.GREETING_MAX_FRAME_BYTES, le=wire.HARD_MAX_FRAME_BYTES)] = (
        wire.DEFAULT_MAX_FRAME_BYTES
    )
    """Largest length field taken from a client."""
    queue_requests: Count = 8_192
    """Requests of all clients that wait for a node below its window."""
    queue_bytes: Bytes = 64 << 20
    """Their bytes."""
    attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    """Nodes that one request is sent to at most."""
    no_node_wait_s: Seconds = 0.25
    """How long a request waits while no node is in rotation."""
    owed_answer_s: Seconds = 30.0
    """How long a node's answer to a request that timed out is still counted against its window."""
    handshake_s: Seconds = 5.0
    """Time for a TLS handshake."""
    hello_s: Seconds = 5.0
    """Time from an open connection to HELLO."""
    closing_s: Seconds = 1.0
    """Time for the last bytes of a connection that is being closed."""
    connect_s: Seconds = 2.0
    """Time to connect to a node, until its WELCOME."""
    shutdown_s: Seconds = 30.0
    """Time after SIGTERM for what is in flight."""


class HealthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The active check of a path."""

    interval_s: Seconds = 1.0
    """Between checks of a path that is up."""
    fast_interval_s: Seconds = 0.25
    """The same while its state may change."""
    down_interval_s: Seconds = 2.0
    """Between attempts to reach a path that is down."""
    jitter: Share = 0.2
    """Every interval is varied by this share, so that proxies do not check in step."""
    timeout_s: Seconds = 0.5
    """Time for an answer to PING."""
    rise: Annotated[int, msgspec.Meta(ge=1, le=100)] = 2
    """Answers in a row that bring a path back; one is enough for a path that was never up."""
    fall: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    """Missing answers in a row that take a path out."""
