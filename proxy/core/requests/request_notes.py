"""Which requests are worth a line in the log: slow ones, a sample of those that fail, all of them when asked.

Theory. The way of a request compares the time that it took with `noted_s`, and its status with OK; nothing else is
done for one that is neither slow nor failed. `noted_s` is also how all are asked for: it is 0 then. What is noted is
bounded, since in a cluster in trouble every request is slow: so many a second, the others are counted.
"""

from typing import Final

from hsm_wire.frames import Frame
from hsm_wire.opcodes import operation_name
from hsm_wire.operations import LONG
from hsm_wire.statuses import StatusClass, maybe_status, status_name
from proxy.core.nodes.node_table import Node
from proxy.core.notices import Notice
from proxy.core.parties import Request

LAST_OK: Final = 0x00FF
"""Statuses up to it say that the request was done."""
SLOW_LINES: Final = 10
"""Slow requests a second that have a line of their own; the others are counted."""
REQUEST_LINES: Final = 1_000
"""The same of all requests, when they are asked for: a hundredth of the loop's time is spent on them."""
WINDOW_S: Final = 1.0
FAILED_EVERY_S: Final = 60.0
"""Between two lines about one status: the metrics have it by the second, the line names a request to look at."""
_CALLERS: Final = frozenset({StatusClass.REQUEST, StatusClass.ACCESS, StatusClass.KEY})
"""Classes of failures that are no fault of the cluster."""
_UNKNOWN: Final = 0
_NEVER: Final = float("inf")


class _Failed:
    """One status: how often since its last line, and the first of these requests."""

    __slots__ = ("count", "due_at", "opcode", "operation_id", "since")

    def __init__(self) -> None:
        self.count = 0
        self.due_at = 0.0
        self.opcode = 0
        self.operation_id = 0
        self.since = 0.0


class RequestNotes:
    """Kept until the shell takes them, once a beat."""

    __slots__ = ("_all", "_failed", "_left_out", "_look_at", "_notes", "_room", "_slow_s", "noted_s")

    def __init__(self) -> None:
        self.noted_s = _NEVER
        """A request that took as long is told to `answered`."""
        self._slow_s = _NEVER
        self._all = False
        self._notes: list[Notice] = []
        self._room = {True: SLOW_LINES, False: REQUEST_LINES}
        """How many slow ones, and others, may have a line in this second."""
        self._left_out = {True: 0, False: 0}
        self._failed: dict[int, _Failed] = {}
        self._look_at = 0.0

    def choose(self, slow_s: float, *, every: bool) -> None:
        """Note requests that take that long (0: none for that), or every one."""
        self._slow_s = slow_s or _NEVER
        self._all = every
        self.noted_s = 0.0 if every else self._slow_s

    def answered(self, request: Request, status: int, node: Node | None, now: float) -> None:
        """Take a request that took `noted_s` or failed.

        Args:
            request: which has its answer now.
            status: of that.
            node: that has the request now, or has answered it; None: it was with none.
            now: the time.
        """
        if status > LAST_OK:
            self.failed(request.frame, status, now)
        seconds = now - request.started
        if seconds < self.noted_s:
            return
        slow = seconds >= self._slow_s
        if not self._room[slow]:
            self._left_out[slow] += 1
            return
        self._room[slow] -= 1
        self._note(request, status, node, now, slow=slow)

    def failed(self, frame: Frame, status: int, now: float) -> None:
        """Count a request that failed; every status has a line in `FAILED_EVERY_S` at most."""
        known = status if maybe_status(status) is not None else _UNKNOWN
        entry = self._failed.get(known)
        if entry is None:
            entry = self._failed[known] = _Failed()
        if not entry.count:
            entry.opcode, entry.operation_id, entry.since = frame.opcode, frame.operation_id, now
        entry.count += 1

    def take(self, now: float) -> list[Notice]:
        """Return what came since the last call."""
        if now >= self._look_at:
            self._look_at = now + WINDOW_S
            self._room = {True: SLOW_LINES, False: REQUEST_LINES}
            for status, entry in self._failed.items():
                if entry.count and now >= entry.due_at:
                    entry.due_at = now + FAILED_EVERY_S
                    self._notes.append(_failure(status, entry, now))
                    entry.count = 0
        notes, self._notes = self._notes, []
        return notes

    def _note(self, request: Request, status: int, node: Node | None, now: float, *, slow: bool) -> None:
        frame = request.frame
        # Where it waits once more for another node, its time with the last one is not told apart.
        sent_at = now if node is None else request.sent_at
        nodes = [*request.tried, node] if node is not None and node not in request.tried else request.tried
        fields: dict[str, str | int | float] = {
            "operation_id": f"{frame.operation_id:016x}",
            "operation": operation_name(frame.opcode),
            "status": status_name(status),
            "seconds": now - request.started,
            "waited_s": sent_at - request.started,
            "at_node_s": now - sent_at,
            "attempts": request.attempts,
            "nodes": ", ".join(tried.name for tried in nodes) or "none",
            "partition": request.client.principal.partition,
        }
        if self._left_out[slow]:
            fields["left_out"] = self._left_out[slow]
            self._left_out[slow] = 0
        if slow:
            self._notes.append(Notice("a request was slow", fields, "info" if frame.opcode in LONG else "warning"))
        else:
            self._notes.append(Notice("a request", fields, "debug"))


def _failure(status: int, entry: _Failed, now: float) -> Notice:
    fields: dict[str, str | int | float] = {
        "status": status_name(status) if status != _UNKNOWN else "unknown",
        "count": entry.count,
        "within_s": round(now - entry.since, 3),
        "first_operation": operation_name(entry.opcode),
        "first_operation_id": f"{entry.operation_id:016x}",
    }
    return Notice("requests failed", fields, "info" if status >> 8 in _CALLERS else "warning")
