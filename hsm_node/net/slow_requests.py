"""Requests that took long have a line each: found again in the proxy's and the client's log by their operation id.

Theory. What is served at once costs nothing more: the time of what one read brought is measured anyway. Only what
went to a thread, or waited for the store, is looked at when it is answered. What proxies ask for themselves has no
operation id, and comes every second: it has no line.
"""

import logging
from collections.abc import Collection
from typing import Final

from hsm_daemon import clock, logs
from hsm_daemon.log_limit import LimitedLog
from hsm_daemon.log_settings import DEFAULTS, LogSettings
from hsm_node.service.request import NOTHING_SPENT, Request
from hsm_wire.frames import Frame
from hsm_wire.opcodes import operation_name
from hsm_wire.operations import LONG, OF_PROXIES
from hsm_wire.statuses import status_name

SLOW_LINES_PER_S: Final = 10
"""Of slow requests; in a node in trouble every one is slow."""
REQUEST_LINES_PER_S: Final = 1_000
"""Of all requests, where they are asked for."""
_NEVER: Final = float("inf")
_log = logs.logger("hsm_node.requests")


class SlowRequests:
    """Writes their lines, and those of all requests where the logger's level is debug."""

    def __init__(self, settings: LogSettings = DEFAULTS) -> None:
        self.noted_s = _NEVER
        """What took as long is told to `answered` or `served`."""
        self._slow_s = _NEVER
        self._slow = LimitedLog(_log, SLOW_LINES_PER_S)
        self._all = LimitedLog(_log, REQUEST_LINES_PER_S)
        self.use(settings)

    def use(self, settings: LogSettings) -> None:
        """Note what these settings ask for; they are those of `logs` already."""
        self._slow_s = settings.slow_request_s or _NEVER
        self.noted_s = 0.0 if _log.isEnabledFor(logging.DEBUG) else self._slow_s

    def answered(self, request: Request, status: int) -> None:
        """Take a request that was not served at once, with its answer."""
        seconds = clock.monotonic() - request.arrived
        if seconds >= self.noted_s:
            spent = request.spent or NOTHING_SPENT
            self._write(
                request,
                seconds,
                status=status_name(status),
                queued_s=spent.queued_s,
                device_s=spent.device_s,
                store_s=spent.store_s,
            )

    def served(self, requests: Collection[Frame], seconds: float) -> None:
        """Take those that were served at once, out of one read: what one of them took, all of them did."""
        for request in requests:
            self._write(request, seconds, together=len(requests))

    def _write(self, request: Request | Frame, seconds: float, **more: str | float) -> None:
        if request.opcode in OF_PROXIES:
            return
        fields: dict[str, str | float] = {
            "operation_id": f"{request.operation_id:016x}",
            "operation": operation_name(request.opcode),
            "seconds": seconds,
            **more,
        }
        if seconds < self._slow_s:
            self._all.event("debug", "a request", **fields)
        else:
            level = "info" if request.opcode in LONG else "warning"
            self._slow.event(level, "a request was slow", **fields)
