"""The answers that the proxy itself gives, and which answers of a node send a request elsewhere."""

from typing import Final

from hsm_wire import kinds
from hsm_wire import limits as wire
from hsm_wire.connection import encode_failure
from hsm_wire.frames import Frame
from hsm_wire.statuses import STATUS_TABLE, Status
from proxy.core.handling import HANDLING, UNKNOWN

ELSEWHERE: Final = frozenset(int(row.status) for row in STATUS_TABLE.values() if row.elsewhere)
GOING_AWAY: Final = int(Status.GOING_AWAY)
NOT_EXECUTED: Final = int(kinds.Flag.NOT_EXECUTED)
STALE: Final = int(kinds.Flag.STALE)
RETRY_AFTER_MS: Final = 50
"""What an overloaded proxy asks a client to wait before it sends again."""

_MAX_TIMEOUT_S: Final = wire.MAX_TIMEOUT_MS / 1000


def timeout_s(frame: Frame) -> float:
    """Return how long this request may take."""
    if frame.timeout_ms:
        return min(frame.timeout_ms / 1000, _MAX_TIMEOUT_S)
    return HANDLING.get(frame.opcode, UNKNOWN).timeout_s


def refusal(frame: Frame, status: Status, detail: str, *, not_executed: bool = True, retry_after_ms: int = 0) -> bytes:
    """Return the answer to a client's request that the proxy gives in a node's place."""
    return encode_failure(
        frame.request_id,
        status,
        detail,
        opcode=frame.opcode,
        operation_id=frame.operation_id,
        not_executed=not_executed,
        retry_after_ms=retry_after_ms or (RETRY_AFTER_MS if status is Status.OVERLOADED else 0),
    )
