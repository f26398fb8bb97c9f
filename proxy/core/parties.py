"""The objects that the core's modules share: a client, a link to a node, a request between them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hsm_wire import limits as wire
from hsm_wire.frames import Frame

if TYPE_CHECKING:
    from proxy.core.node_table import Node, PathEntry
    from proxy.core.principals import Bound

Sink = Callable[[bytes], None]
"""Takes a frame into an output buffer. Never raises, never calls back."""


class Client:
    """One connection of a client."""

    __slots__ = ("drained", "in_flight", "leaving", "max_frame_bytes", "max_in_flight", "principal", "sink", "wire_ids")

    def __init__(
        self,
        sink: Sink,
        principal: "Bound",
        *,
        max_in_flight: int = wire.DEFAULT_MAX_IN_FLIGHT,
        max_frame_bytes: int = wire.DEFAULT_MAX_FRAME_BYTES,
        wire_ids: set[int] | None = None,
        drained: Callable[[], None] | None = None,
    ) -> None:
        self.sink = sink
        self.principal = principal
        self.max_in_flight = max_in_flight
        self.max_frame_bytes = max_frame_bytes
        self.in_flight: dict[int, Request] = {}
        self.wire_ids: set[int] = set() if wire_ids is None else wire_ids
        """The ids that the wire's state machine holds to be in flight; an answer takes its id out."""
        self.leaving = False
        """GOAWAY was said: `drained` is called when nothing is in flight any more."""
        self.drained = drained


class Link:
    """One open connection to a node, over one of its paths."""

    __slots__ = ("announced", "in_flight", "max_frame_bytes", "max_in_flight", "next_id", "node", "path", "sink")

    def __init__(
        self,
        path: "PathEntry",
        sink: Sink,
        *,
        max_in_flight: int = wire.LINK_MAX_IN_FLIGHT,
        max_frame_bytes: int = wire.DEFAULT_MAX_FRAME_BYTES,
    ) -> None:
        self.path = path
        self.node: Node = path.node
        self.sink = sink
        self.max_in_flight = max_in_flight
        self.max_frame_bytes = max_frame_bytes
        self.next_id = 1
        self.in_flight: dict[int, Request] = {}
        self.announced: set[int] = set()
        """Numbers of principals that BIND announced on this connection."""


class Request:
    """One request of a client, from its arrival to its one answer."""

    __slots__ = (
        "attempts",
        "client",
        "client_id",
        "deadline",
        "done",
        "frame",
        "link",
        "link_id",
        "may_have_run",
        "queued_at",
        "slot",
        "started",
        "tried",
    )

    def __init__(self, client: Client, frame: Frame, started: float, deadline: float) -> None:
        self.client = client
        self.client_id = frame.request_id
        self.frame = frame
        self.started = started
        self.deadline = deadline
        self.attempts = 0
        self.tried: tuple[Node, ...] = ()
        self.link: Link | None = None
        self.link_id = 0
        self.queued_at = started
        self.may_have_run = False
        """A node may have executed it: an answer may not say `not executed`."""
        self.done = False
        """The client has its answer, or is gone."""
        self.slot: set[Request] | None = None
        """Where `deadlines` keeps it."""
