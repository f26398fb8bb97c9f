"""Every limit of a node that node.toml can set, in its table [limits], with its unit, default and reason."""

from typing import Annotated, Final

import msgspec

from hsm_wire import limits as wire

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What bounds a node's memory and its waits."""

    links: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 256
    """Connections at one time; a proxy keeps a few for each of its paths."""
    handshakes_per_s: Annotated[float, msgspec.Meta(ge=1, le=100_000)] = 200.0
    """Connections taken a second: proxies are few, and come back together after a stall."""
    handshakes_burst: Count = 64
    """The same at once after a quiet time."""
    handshakes_at_once: Count = 256
    """TLS handshakes going on at one time."""
    handshake_s: Seconds = 5.0
    """Time for a TLS handshake."""
    hello_s: Seconds = 5.0
    """Time from an open connection to HELLO: how long a stranger may hold it."""
    closing_s: Seconds = 1.0
    """Time for a TLS connection to say goodbye."""
    shutdown_s: Seconds = 30.0
    """Time after SIGTERM for what is in flight."""
    stall_s: Annotated[float, msgspec.Meta(ge=0.05, le=60)] = 0.5
    """A loop that stood still for longer has let its proxies wait so long that they asked another node: what they
    sent meanwhile is dropped with their connections. Keep it at the proxies' `health.silence_s` or below."""
    window_requests: Annotated[int, msgspec.Meta(ge=1, le=wire.LINK_MAX_IN_FLIGHT)] = 256
    """Requests in flight that the node asks for at most, of all proxies together."""
    window_wait_s: Annotated[float, msgspec.Meta(gt=0, le=10)] = 0.005
    """Time that a request may wait at the node, so that sessions never run dry between a proxy's writes: the larger,
    the larger the window."""
    waiting_sessions: Count = 4_096
    """Dear operations that wait for a session: about two seconds of RSA-2048 signatures on one core."""
    waiting_generations: Count = 256
    """Key generations that wait for their turn; one of RSA takes up to seconds."""
    waiting_changes: Count = 1_024
    """Store transactions that wait; one takes about a millisecond with its fsync."""


DEFAULTS: Final = Limits()
