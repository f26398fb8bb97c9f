"""What the answers to a call said of themselves: the library's errors do not carry NOT_EXECUTED, the frames do.

`HeardConnection` takes the place of the library's connection while a load runs and listens to each sending of a call.
"""

import asyncio
from collections import defaultdict

from hsm_client.connection import Connection
from hsm_wire.frames import Frame
from hsm_wire.kinds import Flag

_sendings: defaultdict[int, list["asyncio.Future[Frame]"]] = defaultdict(list)
"""Operation id -> each sending of it, until `take_not_executed`."""


class HeardConnection(Connection):
    """A connection that remembers what was sent for which call."""

    def send(
        self, opcode: int, body: bytes, *, timeout_s: float, operation_id: int = 0, flags: int = 0
    ) -> "asyncio.Future[Frame]":
        """Send as the library does."""
        future = super().send(opcode, body, timeout_s=timeout_s, operation_id=operation_id, flags=flags)
        _sendings[operation_id].append(future)
        return future


def take_not_executed(operation_id: int) -> bool:
    """Return whether the cluster said that the call was not executed, and forget the call.

    One sending whose answer lacks the flag, or never came, is enough for no: it may have been executed.
    """
    sendings = _sendings.pop(operation_id, [])
    return bool(sendings) and all(_says_so(each) for each in sendings)


def _says_so(sending: "asyncio.Future[Frame]") -> bool:
    if not sending.done() or sending.cancelled() or sending.exception() is not None:
        return False
    return bool(sending.result().flags & Flag.NOT_EXECUTED)
