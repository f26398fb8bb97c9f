"""Every limit and interval of the proxy, with its unit, default and reason (design.md section 5)."""

from typing import Annotated, Literal

import msgspec

from hsm_wire import limits as wire

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Bytes = Annotated[int, msgspec.Meta(ge=65_536, le=1 << 32)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
SecondsOrOff = Annotated[float, msgspec.Meta(ge=0, le=3600)]
Share = Annotated[float, msgspec.Meta(ge=0, le=0.9)]
Few = Annotated[int, msgspec.Meta(ge=1, le=100)]
Rate = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What bounds a proxy's memory and its waits."""

    clients: Count = 10_000
    """Connections of clients at one time."""
    identity_clients: Count = 2_048
    """The same of one identity: a client that opens them without end leaves room for the others."""
    client_in_flight: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = wire.DEFAULT_MAX_IN_FLIGHT
    """Requests in flight of one connection; one that has them is not read until it has fewer."""
    identity_control_per_s: Annotated[float, msgspec.Meta(ge=1, le=1_000_000)] = 5_000.0
    """PINGs, CANCELs and the like of one identity a second (STATUS and EVENTS count as twenty each): what goes beyond
    it is not read until its time has come. It keeps a proxy's loop busy for a twentieth of its time."""
    identity_control_burst: Count = 2_048
    """The same at once after a quiet time: as many as it may cancel with eight connections."""
    frame_s: Seconds = 10.0
    """Time from a frame's first byte to its last; then the client is closed."""
    unfinished_bytes: Bytes = 256 << 20
    """Bytes of frames that have not come to their end, of all clients: beyond it those that hold most are closed."""
    client_unread_bytes: Bytes = 8 << 20
    """Answers that wait for a client which does not read; beyond it the client is closed."""
    unread_bytes: Bytes = 512 << 20
    """The same of all clients together; beyond it those that leave most are closed."""
    client_pause_bytes: Bytes = 256 << 10
    """Answers that wait for a client before it is not read any more."""
    client_unread_s: Seconds = 10.0
    """Time that a client may leave more than `client_pause_bytes` unread; then it is closed."""
    idle_s: Seconds = 900.0
    """Time without a frame from a client, and none owed to it; then it gets GOAWAY."""
    handshakes_per_s: Annotated[float, msgspec.Meta(ge=1, le=100_000)] = 300.0
    """Connections taken a second. A TLS handshake costs the loop more than a millisecond: this leaves nearly two
    thirds of it to requests when many connect at once. The others wait in the system's backlog."""
    handshakes_burst: Count = 4
    """Connections taken at once after a quiet time: five milliseconds of the loop."""
    handshakes_crowd: Count = 1_000
    """Connections taken at `handshakes_per_s` after a quiet time: clients that all come back at once."""
    handshakes_sustained_per_s: Annotated[float, msgspec.Meta(ge=1, le=100_000)] = 100.0
    """Connections taken a second beyond that crowd: what a flood of them may cost those who are connected."""
    handshakes_at_once: Count = 128
    """TLS handshakes going on at one time."""
    link_unsent_bytes: Bytes = 256 << 20
    """Requests that wait for a node which does not read; beyond it the link is closed."""
    max_frame_bytes: Annotated[int, msgspec.Meta(ge=wire.GREETING_MAX_FRAME_BYTES, le=wire.HARD_MAX_FRAME_BYTES)] = (
        wire.DEFAULT_MAX_FRAME_BYTES
    )
    """Largest length field taken from a client."""
    bulk_bytes: Annotated[int, msgspec.Meta(ge=1024, le=wire.HARD_MAX_FRAME_BYTES)] = 16 << 10
    """Requests with a larger body go over a link of their own, so that small ones do not wait behind them."""
    partition_generations: Count = 64
    """Key generations in flight of one partition. They run long, in a pool of their own, and take no room in the
    nodes' windows; one more is answered OVERLOADED."""
    queue_requests: Count = 8_192
    """Requests of all clients that wait for a node below its window."""
    queue_bytes: Bytes = 64 << 20
    """Their bytes."""
    no_node_wait_s: Seconds = 0.25
    """How long a request waits while no node is in rotation."""
    owed_answer_s: Seconds = 30.0
    """How long a node's answer to a request that was given up is still counted against its window."""
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


class RetrySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a request is sent again, and when not."""

    attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    """Nodes that one request is sent to at most."""
    attempt_s: Seconds = 1.0
    """Time that a node has for a use of a key or a read before another node is asked too. The last attempt, and
    one that has no other node, has the whole deadline. Key generation has none: it runs long by nature."""
    change_attempt_s: Seconds = 5.0
    """The same for changes of keys, which may wait 3 s for the lease of a lost node."""
    budget_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2
    """Attempts after the first one, as a share of the requests: a cluster in trouble is not buried in retries."""
    budget_per_s: Rate = 10.0
    """Attempts after the first one that are free, a second."""
    budget_burst: Count = 1_024
    """Attempts that may be saved up: what one lost node can have in flight. A request beyond it waits."""
    poison_s: Seconds = 60.0
    """How long a (partition, operation, key) is refused after it was in flight at two losses of a node."""
    verdict_s: Seconds = 0.25
    """Wait before such a verdict: if other nodes are lost in this time too, the request is not to blame."""


class HealthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How nodes are checked, taken out and brought back."""

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
    rise: Few = 2
    """Answers in a row that bring a path back; one is enough for a path that was never up."""
    fall: Few = 3
    """Missing answers in a row that take a path out."""
    silence_s: Seconds = 0.5
    """A link that owes answers and brought no byte for this long: all paths of the node are pinged at once; as
    long again without a byte, and the link is lost."""
    path_grace_s: Seconds = 0.1
    """How much longer than the node's other path a silent one may take to answer before it is given up."""
    blocked_s: Seconds = 0.5
    """Two PONGs this far apart with work owed and the completed count unchanged: the node is blocked."""
    deep_interval_s: SecondsOrOff = 10.0
    """Between deep checks of a node; 0 turns them off."""
    deep_fast_interval_s: Seconds = 1.0
    """The same while a request is overdue."""
    deep_timeout_s: Seconds = 2.0
    """Time for its answer."""
    deep_fall: Few = 2
    """Missing or failed answers in a row that take a node out; of wrong signatures one is enough."""
    slow_start_s: SecondsOrOff = 10.0
    """Time in which a node that came back grows to its full share; 0 turns it off."""
    slow_start_from: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1
    """The share that it begins with."""


class EjectionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Passive checks: what clients' own requests tell of a node."""

    consecutive: Few = 3
    """Transport errors, time-outs and device errors in a row that take a node out."""
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.05
    """The same as a share of the answers in `window_s`."""
    minimum_answers: Count = 20
    """Answers in `window_s` below which the share says nothing."""
    window_s: Seconds = 1.0
    """Time over which the share is counted."""
    base_s: Seconds = 1.0
    """Time out of rotation after the first ejection; it doubles with each one that follows."""
    max_s: Seconds = 60.0
    """Longest time out of rotation."""
    jitter: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    """Share by which that time is lengthened at random, so that proxies do not come back in step."""
    forget_s: Seconds = 60.0
    """Time in rotation after which earlier ejections no longer count."""
    slow_factor: Annotated[float, msgspec.Meta(ge=1.5, le=1000)] = 3.0
    """A node that takes this many times as long as the others, beyond its distance, gets less (see `slowness`)."""
    slow_minimum_s: Seconds = 0.005
    """Below this mean time a node is not slow, whatever the others do."""


class BalancingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which nodes are drawn."""

    prefer: Literal["nothing", "near"] = "nothing"
    """`nothing`: all nodes, by their weights. `near`: those of the nearest site that serves, this proxy's own first;
    farther ones get what these have no room for, and what a node of theirs lacks that starts slowly or is slow."""


class Portion(msgspec.Struct, frozen=True):
    """One of `of` equal parts of a proxy: a worker; or all of it. What is limited is divided (`division`).

    A remainder goes to the first ones: together they are exactly the whole, unless that is less than one for each.
    """

    number: int = 1
    """From 1."""
    of: int = 1

    def count(self, whole: int) -> int:
        """Return this part of something that cannot be cut; one at least."""
        return max(1, (whole + self.of - self.number) // self.of)


class Settings(msgspec.Struct):
    """All of them, as they hold now. SIGHUP puts new tables into the same object, which everybody shares."""

    limits: Limits = Limits()
    retry: RetrySettings = RetrySettings()
    health: HealthSettings = HealthSettings()
    ejection: EjectionSettings = EjectionSettings()
    balancing: BalancingSettings = BalancingSettings()
    portion: Portion = Portion()
    """Whose they are; `limits` and `retry` are divided already."""
