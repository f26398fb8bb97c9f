"""Requests that were sent on one connection and wait for their answers, by id."""

import asyncio
from typing import Final

from hsm_client.errors import Timeout
from hsm_wire.frames import Frame
from hsm_wire.statuses import Status

_ID_LIMIT: Final = 1 << 32


class Pending:
    """One request: what was asked, who waits for it, and how long (loop time)."""

    __slots__ = ("deadline", "future", "opcode", "operation_id")

    def __init__(self, future: "asyncio.Future[Frame]", deadline: float, opcode: int, operation_id: int) -> None:
        self.future = future
        self.deadline = deadline
        self.opcode = opcode
        self.operation_id = operation_id

    def fits(self, answer: Frame) -> bool:
        """Say whether this is the answer to what was asked, and not to something else under the same id."""
        return answer.operation_id == self.operation_id and answer.opcode == self.opcode


class InFlight(dict[int, Pending]):
    """See the module. A request whose time has run out stays until its one answer comes: the proxy counts it too.

    A dictionary itself, for `len` and `pop` run several times a request.
    """

    __slots__ = ("_last_id",)

    def __init__(self) -> None:
        super().__init__()
        self._last_id = 0

    def add(self, future: "asyncio.Future[Frame]", deadline: float, opcode: int, operation_id: int) -> int:
        """Note a request down; return its id."""
        self._last_id = request_id = self._last_id % (_ID_LIMIT - 1) + 1
        self[request_id] = Pending(future, deadline, opcode, operation_id)
        return request_id

    def maybe_id(self, future: "asyncio.Future[Frame]") -> int | None:
        """Return the id of that future's request, None where it is answered."""
        for request_id, pending in self.items():
            if pending.future is future:
                return request_id
        return None

    def expire(self, now: float) -> None:
        """Tell those whose time has run out."""
        for pending in self.values():
            if pending.deadline <= now and not pending.future.done():
                pending.future.set_exception(
                    Timeout("the request's time ran out; send again with more time", status=Status.TIMEOUT)
                )

    def fail(self, error: Exception) -> None:
        """Tell everybody that no answer will come."""
        for pending in self.values():
            if not pending.future.done():
                pending.future.set_exception(error)
        self.clear()
