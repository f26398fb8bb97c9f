"""The objects that the core's modules share: a client, a link to a node, a request between them.

Theory. A link's `in_flight` says what its node owes: a `Request` that waits for that answer; an `Owed`, whose
request was given up there (answered otherwise, or sent to another node) and which counts against the window
until the node has answered; or a `Probe`, a question of the proxy itself. A request is `Owed` to its old links and
with at most one current `link`.
"""

from collections.abc import Callable
from enum import Enum, auto
from math import inf
from typing import TYPE_CHECKING, Final

from hsm_wire import limits as wire
from hsm_wire.frames import Frame
from proxy.core.handling import HANDLING, UNKNOWN, Handling

if TYPE_CHECKING:
    from proxy.core.nodes.node_table import Node, PathEntry
    from proxy.core.principals import Bound

MAX_LINK_ID: Final = 0xFFFF_FFFF
"""What the field of a frame holds."""
_NEVER: Final = inf
Sink = Callable[[bytes], None]
"""Takes a frame into an output buffer. Never raises, never calls back."""


def _nothing(_reason: str) -> None:
    """Stand in for a connection that needs no closing."""


class Client:
    """One connection of a client."""

    __slots__ = (
        "drained",
        "excess",
        "in_flight",
        "leaving",
        "max_frame_bytes",
        "max_in_flight",
        "paused",
        "principal",
        "reports",
        "resume",
        "sink",
        "wire_ids",
    )

    def __init__(
        self,
        sink: Sink,
        principal: "Bound",
        *,
        max_in_flight: int = wire.DEFAULT_MAX_IN_FLIGHT,
        max_frame_bytes: int = wire.DEFAULT_MAX_FRAME_BYTES,
        wire_ids: set[int] | None = None,
        drained: Callable[[], None] | None = None,
        resume: Callable[[], None] | None = None,
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
        self.paused = False
        """It is at its limit and not read; `resume` is called at its next answer."""
        self.resume = resume
        self.excess = False
        """It has asked beyond its limit in what is being read."""
        self.reports = 0
        """What it has asked the proxy itself in what is being read."""


class Link:
    """One open connection to a node, over one of its paths. A path has up to two: one for small requests and
    checks, and a bulk link for large ones."""

    __slots__ = (
        "announced",
        "arrived_until",
        "bulk",
        "close",
        "epoch",
        "heard",
        "ids_used_up",
        "in_flight",
        "leaving",
        "max_frame_bytes",
        "max_in_flight",
        "next_id",
        "node",
        "owing_since",
        "own",
        "path",
        "probed_at",
        "sink",
        "unacknowledged_s",
        "unsent",
    )

    def __init__(
        self,
        path: "PathEntry",
        sink: Sink,
        *,
        bulk: bool = False,
        max_in_flight: int = wire.LINK_MAX_IN_FLIGHT,
        max_frame_bytes: int = wire.DEFAULT_MAX_FRAME_BYTES,
        close: Callable[[str], None] = _nothing,
        unsent: Callable[[], int] = int,
        unacknowledged_s: Callable[[], float] = float,
    ) -> None:
        self.path = path
        self.node: Node = path.node
        self.sink = sink
        self.bulk = bulk
        self.max_in_flight = max_in_flight
        self.max_frame_bytes = max_frame_bytes
        self.close = close
        """Drops the connection, for a reason. Calls nobody back in this turn."""
        self.unsent = unsent
        """Bytes that the system has not taken yet."""
        self.unacknowledged_s = unacknowledged_s
        """Seconds since the node's machine acknowledged something, where it has not all; 0.0: it has, or unknown."""
        self.arrived_until = _NEVER
        """Set when the link is given up as silent: what was sent later than this never reached the node's machine."""
        self.epoch: int | None = None
        """That its PONGs name; None: none came yet."""
        self.next_id = 1
        self.ids_used_up = 0
        """How many were given before they began with 1 again."""
        self.own = 0
        """Of all ids, those of this proxy's own questions."""
        self.in_flight: dict[int, Request | Owed | Probe] = {}
        self.announced: set[int] = set()
        """Numbers of principals that BIND announced on this connection."""
        self.leaving = False
        """The node said GOAWAY: it answers what it has and takes nothing new."""
        self.heard = 0.0
        """When the node last sent a byte."""
        self.owing_since = 0.0
        """Since when it owes an answer without interruption; says nothing while `in_flight` is empty."""
        self.probed_at = 0.0
        """When it was pinged because it was silent; 0 = it is not under suspicion."""

    def take_id(self) -> int:
        """Return the id of the next request: counted up, so not used again within 2^31."""
        link_id = self.next_id
        if link_id < MAX_LINK_ID:
            self.next_id = link_id + 1
        else:
            self.next_id = 1
            self.ids_used_up += MAX_LINK_ID
        return link_id

    def take_own_id(self) -> int:
        """Return the id of a question that no client asks."""
        self.own += 1
        return self.take_id()

    @property
    def requests(self) -> int:
        """How many requests of clients were sent over it: the ids tell, so that none has to be counted."""
        return self.ids_used_up + self.next_id - 1 - self.own


class Loss(Enum):
    """How a node was lost."""

    MACHINE = auto()
    """Its machine, or the way to it (`Link.arrived_until`)."""
    HANG = auto()
    """It fell silent, or finished nothing, on a machine that was there."""
    CRASH = auto()
    """Its process ended: the system closed the connection."""


class Request:
    """One request of a client, from its arrival to its one answer. What only those have that meet with trouble has its
    usual value here, and no place in the others."""

    __slots__ = (
        "__dict__",
        "attempts",
        "client",
        "deadline",
        "done",
        "frame",
        "handling",
        "link",
        "link_id",
        "may_have_run",
        "sent_at",
        "slot",
        "started",
        "stored_by",
    )
    accused: "tuple[Node, ...]" = ()
    """Nodes that answered DEVICE_ERROR or RECORD_DAMAGED; to blame if another one serves it."""
    costless: bool = False
    """It goes on because its last node lacks the mechanism: nothing failed, so no budget is asked."""
    moves: int = 0
    """Times that it changed the path to the same node."""
    tried: "tuple[Node, ...]" = ()
    queued_at: float = 0.0
    """When it began to wait for a node."""
    losses: "tuple[Loss, ...]" = ()
    """Abnormal losses of a node with this request in flight: how, each of them."""
    held_until: float = 0.0
    """Under a verdict (`poison`) until then; 0 = not."""
    timed_out: Link | None = None
    """The link whose node was charged with a time-out for it."""

    def __init__(
        self, client: Client, frame: Frame, started: float, deadline: float, handling: Handling | None = None
    ) -> None:
        self.client = client
        self.frame = frame
        self.started = started
        self.deadline = deadline
        self.handling: Handling = HANDLING.get(frame.opcode, UNKNOWN) if handling is None else handling
        """Of its operation."""
        self.attempts = 0
        self.link: Link | None = None
        self.link_id = 0
        self.sent_at = 0.0
        """When it went to the node that it is with, or was with last."""
        self.may_have_run = False
        """A node may have executed it: an answer may not say `not executed`."""
        self.stored_by = _NEVER
        """A node could not reach the store: until then another one may, if that can be found out."""
        self.done = False
        """The client has its answer, or is gone."""
        self.slot: dict[Request | Owed, None] | None = None
        """Where `deadlines` keeps it."""

    def __repr__(self) -> str:
        return f"<Request {self.frame!r}>"

    @property
    def client_id(self) -> int:
        """The id under which its client knows it."""
        return self.frame.request_id


class Owed:
    """A node's answer to a request that was given up there."""

    __slots__ = ("link", "link_id", "request", "sent_at", "slot")

    def __init__(self, request: Request, link: Link) -> None:
        self.request = request
        self.link = link
        self.link_id = request.link_id
        self.sent_at = request.sent_at
        self.slot: dict[Request | Owed, None] | None = None


class Probe:
    """A deep check that a node has not answered yet."""

    __slots__ = ("challenge", "node", "sent_at")

    def __init__(self, node: "Node", challenge: bytes, sent_at: float) -> None:
        self.node = node
        self.challenge = challenge
        self.sent_at = sent_at
