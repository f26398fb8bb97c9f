"""One request between its arrival and its answer."""

from collections.abc import Callable
from typing import Final, Protocol

from hsm_node.core.principals import Principal
from hsm_node.core.refusal import Refusal
from hsm_wire.frames import Frame
from hsm_wire.statuses import Status

STORE: Final = "store"
"""The pool whose work is that of the store; that of the others is the device's."""


class AnswerSink(Protocol):
    """Where answers go: the connection that the request came on."""

    def answer(self, request: "Request", status: int, body: bytes) -> None:
        """Send a result."""

    def refuse(self, request: "Request", refusal: Refusal) -> None:
        """Send a failure."""


class Spent:
    """Where a request's time went, as far as threads had it. The rest it waited: for others, for the store's news."""

    __slots__ = ("device_s", "queued_s", "store_s")

    def __init__(self) -> None:
        self.queued_s = 0.0
        """For a thread."""
        self.device_s = 0.0
        self.store_s = 0.0


NOTHING_SPENT: Final = Spent()


class Request:
    """What a handler knows of a request. It answers exactly once, whoever tries first."""

    __slots__ = (
        "answered",
        "arrived",
        "body",
        "deadline",
        "executed",
        "flags",
        "looked_again",
        "opcode",
        "operation_id",
        "principal",
        "request_id",
        "sink",
        "spent",
        "stale",
        "withdraw",
    )

    def __init__(
        self, frame: Frame, principal: Principal, deadline: float, sink: AnswerSink, arrived: float = 0.0
    ) -> None:
        self.request_id = frame.request_id
        self.opcode = frame.opcode
        self.flags = frame.flags
        self.operation_id = frame.operation_id
        self.body = frame.body
        self.principal = principal
        self.deadline = deadline
        self.arrived = arrived
        """When it came, on the clock of `deadline`."""
        self.spent: Spent | None = None
        """None while no thread has worked for it."""
        self.sink = sink
        self.executed: Callable[[int], None] | None = None
        """Told the partition when it has succeeded: what is counted for quotas."""
        self.looked_again = False
        """Whether the store was asked for what this node does not know (`SecondLooks`)."""
        self.stale = False
        """Whether this node was stale when it looked for the request's records."""
        self.answered = False
        self.withdraw: Withdraw | None = None
        """Takes its work out of a queue, while it waits in one. The work knows the request, so this is a circle: it is
        cut at the end, or bodies would wait for the collector, and the heap's holes with them."""

    def succeed(self, body: bytes, status: int = 0) -> None:
        """Answer with a result."""
        if not self.answered:
            self.answered = True
            self.withdraw = None
            if self.executed is not None:
                self.executed(self.principal.partition)
            self.sink.answer(self, status, body)

    def refuse(self, refusal: Refusal) -> None:
        """Answer with what is wrong."""
        if not self.answered:
            self.answered = True
            self.withdraw = None
            self.sink.refuse(self, refusal)

    def worked(self, pool: str, waited_s: float, worked_s: float) -> None:
        """Note that a thread of that pool has worked for it, and how long it waited for one."""
        spent = self.spent
        if spent is None:
            spent = self.spent = Spent()
        spent.queued_s += waited_s
        if pool == STORE:
            spent.store_s += worked_s
        else:
            spent.device_s += worked_s

    def give_up(self) -> bool:
        """Take its work out of its queue; False where it has started, or there is none."""
        withdraw, self.withdraw = self.withdraw, None
        return withdraw is not None and withdraw()

    def cancel(self) -> None:
        """Answer CANCELLED if the work has not started; otherwise its result will be the answer."""
        if self.give_up():
            self.refuse(Refusal(Status.CANCELLED, "cancelled before it ran", not_executed=True))


class Withdraw(Protocol):
    """Takes work out of its queue; False where it has started."""

    def __call__(self) -> bool: ...


class Serving(Protocol):
    """Whoever serves requests."""

    @property
    def current(self) -> bool:
        """Whether the keys are those of the store."""

    def doubt(self) -> None:
        """Serve as stale until the store was looked at: the process stood still."""

    def follow(self) -> None:
        """Bring the keys to the store's state: called after bytes arrived, before their requests are served."""

    def serve(self, request: Request) -> None:
        """Serve one request; its answer goes to its sink, now or later."""
