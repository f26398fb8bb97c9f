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
    object_bytes: Annotated[int, msgspec.Meta(ge=65_536, le=1 << 40)] = 16 << 20
    """Memory that the objects of one partition may take, 1 KiB of it for each beside its value: 5,000 certificates.
    Nodes hold all of them. Give every node of a cluster the same: each decides by its own."""
    waiting_changes: Count = 1_024
    """Store transactions that wait; one takes about a millisecond with its fsync."""
    partition_changes_per_s: Annotated[float, msgspec.Meta(ge=0.1, le=100_000)] = 25.0
    """What the clients of one partition may write to the store in a second: keys and objects that are made, changed and
    destroyed, uses that are counted; one for each begun KiB of a row. What is above it is answered OVER_QUOTA with the
    time to wait; what takes a right away (destroyed, disabled) is counted and never refused. With four nodes and a
    retention of 1 h one partition takes a third of a store of 4 GiB at most."""
    partition_changes_burst: Count = 10_000
    """The same at once after a quiet time: an import of so many keys does not wait."""
    waiting_uses: Count = 1_024
    """Uses that wait until the store has counted them: of keys with max_uses, and of the first AES-GCM encryptions."""
    counting_s: Annotated[float, msgspec.Meta(gt=0, le=10)] = 0.3
    """How long such a use waits before another node is asked: it is answered STORE_UNAVAILABLE, not executed. Keep it
    below the proxies' `health.blocked_s`: where another program holds the store, nodes would look blocked."""
    padding_decryptions_per_s: Annotated[float, msgspec.Meta(ge=0.01, le=100_000)] = 5.0
    """Decryptions with CKM_AES_CBC_PAD a second and key. Whoever may ask for them and sees which fail reads a block of
    16 bytes with about 2,000 of them, so with four nodes it takes 100 s, and the counter of refusals shows it; above
    1,000 this bounds nothing."""
    padding_decryptions_burst: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 50
    """The same at once after a quiet time: a fortieth of what one block takes."""
    rewraps_per_s: Annotated[float, msgspec.Meta(ge=1, le=10_000)] = 200.0
    """Records put under a new master key in a second: each is a store transaction of about a millisecond, which the
    changes of clients wait for; 100,000 records take eight minutes."""


DEFAULTS: Final = Limits()
