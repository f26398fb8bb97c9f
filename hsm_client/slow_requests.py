"""What the client's log says of requests that took long: `logging.getLogger("hsm_client")`, level INFO.

Proxies and nodes log slow requests too, under the same operation id, so one request can be followed through all.
"""

import logging
from collections.abc import Sequence
from typing import Final

from hsm_client.config import ProxyAddress
from hsm_wire.opcodes import operation_name
from hsm_wire.statuses import status_name

LINES: Final = 10
"""Lines within WINDOW_S; with a cluster in trouble every request is slow."""
WINDOW_S: Final = 1.0
_log = logging.getLogger("hsm_client")


class SlowRequests:
    """Writes those lines."""

    __slots__ = ("_left_out", "_room", "_until", "slow_s")

    def __init__(self, slow_request_s: float) -> None:
        self.slow_s = slow_request_s or float("inf")
        """What took as long is told to `note`."""
        self._until = 0.0
        self._room = 0
        self._left_out = 0

    def note(
        self, operation_id: int, opcode: int, status: int, seconds: float, tried: Sequence[ProxyAddress], now: float
    ) -> None:
        """Write a line, or count it.

        Args:
            operation_id: of the request, in all its sendings.
            opcode: of it.
            status: how it ended.
            seconds: from the call to its end.
            tried: the proxies that it was sent to, one for each sending.
            now: the loop's time.
        """
        if not _log.isEnabledFor(logging.INFO):
            return
        if now >= self._until:
            self._until, self._room = now + WINDOW_S, LINES
        if not self._room:
            self._left_out += 1
            return
        self._room -= 1
        left_out, self._left_out = self._left_out, 0
        _log.info(
            "a request was slow: operation_id=%016x operation=%s status=%s seconds=%.3f sent=%d proxies=%s%s",
            operation_id,
            operation_name(opcode),
            status_name(status),
            seconds,
            len(tried),
            ",".join(dict.fromkeys(map(str, tried))) or "none",
            f" left_out={left_out}" if left_out else "",
        )
