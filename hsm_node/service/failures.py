"""What failed -> what the caller is told. Nothing about the inside crosses the wire."""

from collections.abc import Callable
from typing import Final

from hsm_daemon import logs
from hsm_daemon.log_limit import LimitedLog
from hsm_node.core.refusal import Refusal
from hsm_node.service.request import Request
from hsm_node.store.base import HaltedStoreError, StoreError, UnreachableStoreError
from hsm_wire.errors import BodyError
from hsm_wire.opcodes import operation_name
from hsm_wire.statuses import Status

_log = LimitedLog(logs.logger("hsm_node.service"), 2)
"""Where the store or the device fails, every request does."""
HALTED: Final = "the store takes no changes for now, and operators must look at it; keys that are there go on"
"""Why a change is refused."""


class Failures:
    """Answers failed requests and counts the ones that are our fault."""

    def __init__(self) -> None:
        self.internal = 0
        """Errors of this program or its device."""
        self.store = 0
        """Changes that the store did not take."""
        self.second_look: Callable[[Request, Refusal], Refusal | None] = lambda _request, refusal: refusal
        """Returns what a refused request is answered; None: it is answered later."""

    def answer(self, request: Request, error: Exception) -> None:
        """Answer a request whose handling raised."""
        if isinstance(error, Refusal):
            refusal = self.second_look(request, error)
            if refusal is not None:
                request.refuse(refusal)
        elif isinstance(error, BodyError):
            request.refuse(Refusal(Status.BAD_REQUEST, str(error)))
        elif isinstance(error, StoreError):
            self.store += 1
            _log.event(
                "error",
                "the store did not take a change",
                operation_id=f"{request.operation_id:016x}",
                reason=str(error),
            )
            untouched = isinstance(error, UnreachableStoreError)
            text = HALTED if isinstance(error, HaltedStoreError) else "the store did not answer; send the request again"
            request.refuse(Refusal(Status.STORE_UNAVAILABLE, text, not_executed=untouched))
        else:
            self.internal += 1
            # The text of the error may hold what it was about, so only its type and place are logged.
            _log.event(
                "error",
                "an operation failed inside",
                operation_id=f"{request.operation_id:016x}",
                operation=operation_name(request.opcode),
                error=type(error).__name__,
                place=_place(error),
            )
            request.refuse(Refusal(Status.DEVICE_ERROR, "the node failed to do this; send the request again"))


def _place(error: Exception) -> str:
    """Return file and line of the innermost frame."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown"
    return f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
