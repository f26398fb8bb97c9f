"""Plain integers that the hot path counts up; `proxy.metrics` makes families of them when it is asked."""

from bisect import bisect_left
from typing import Final

from hsm_wire.statuses import Status
from proxy.core.handling import HANDLING, UNKNOWN, Handling

DURATION_BOUNDS_S: Final[tuple[float, ...]] = (
    0.0001, 0.00016, 0.00025, 0.0004, 0.00063,
    0.001, 0.0016, 0.0025, 0.004, 0.0063,
    0.01, 0.016, 0.025, 0.04, 0.063,
    0.1, 0.16, 0.25, 0.4, 0.63,
    1.0, 1.6, 2.5, 4.0, 6.3, 10.0,
)  # fmt: skip
"""Upper bounds of the duration histogram, in seconds, five a decade, so that a quantile read from it is wrong by less
than a third; one more bucket holds the rest."""
OVERLOAD_REASONS: Final = (
    "client_in_flight",
    "failover_full",
    "partition_generations",
    "queue_full",
    "queue_too_long",
    "windows_full",
)
HASTE_S: Final = 0.1
"""Whoever gives a request less than this, a round trip between data centres and a slow operation, wants a TIMEOUT."""
_CANCELLED: Final = int(Status.CANCELLED)
_TIMEOUT: Final = int(Status.TIMEOUT)


class Counters:
    """What happened since the proxy started."""

    __slots__ = (
        "_failures",
        "_last_bucket",
        "_last_s",
        "_successes",
        "banned",
        "budget_empty",
        "cancelled",
        "clients_closed_idle",
        "clients_closed_unfinished",
        "clients_closed_unread",
        "clients_paced",
        "clients_refused",
        "duration_buckets",
        "duration_sum_s",
        "failovers",
        "forgotten_answers",
        "hasty",
        "late_answers",
        "overloaded",
        "path_moves",
        "poisoned",
        "protocol_errors",
        "requests",
        "sanctions",
        "stale_dropped",
        "stale_passed",
        "wrong_answers",
    )

    def __init__(self) -> None:
        self.requests = 0
        self._successes = [0] * (len(HANDLING) + 1)
        """Answers with the status OK, by `Handling.number`: nearly all."""
        self._failures: dict[tuple[int, int], int] = {}
        """(opcode, status class) -> all other answers."""
        self._last_s = -1.0
        self._last_bucket = 0
        self.duration_buckets = [0] * (len(DURATION_BOUNDS_S) + 1)
        self.duration_sum_s = 0.0
        self.failovers = 0
        """Requests sent to another node after the first one was lost or could not do it."""
        self.late_answers = 0
        """Answers of nodes that came after the client had its own."""
        self.stale_passed = 0
        """Answers of stale nodes that clients had: no current node was reached."""
        self.stale_dropped = 0
        """Answers of stale nodes that were dropped: a current node was asked."""
        self.path_moves = 0
        """Requests that went on over another path of the same node."""
        self.overloaded = dict.fromkeys(OVERLOAD_REASONS, 0)
        """Why requests were answered OVERLOADED by this proxy."""
        self.banned = 0
        """Requests refused because their like was found to lose nodes."""
        self.budget_empty = 0
        """Times that the budget for further attempts held a request where it was."""
        self.cancelled = 0
        """Requests answered CANCELLED: their class is that of failures, but the caller wished it."""
        self.hasty = 0
        """Requests answered TIMEOUT whose callers gave them less than `HASTE_S`."""
        self.poisoned = 0
        """Requests answered POISON because two nodes were lost with them."""
        self.sanctions: dict[tuple[str, str], int] = {}
        """(node, cause) -> times that the node was taken out though it was connected."""
        self.wrong_answers = 0
        """Answers of nodes whose operation is not that of the request with their id."""
        self.forgotten_answers = 0
        """Answers that a node still owes long after the deadline."""
        self.protocol_errors = 0
        """Connections of clients closed because of a malformed or illegal frame."""
        self.clients_refused = 0
        """Connections refused: unknown identity, or too many."""
        self.clients_closed_idle = 0
        """Connections sent away because nothing was asked for long."""
        self.clients_closed_unfinished = 0
        """Connections closed because a frame did not come to its end."""
        self.clients_paced = 0
        """Times that a client was not read for a while because its identity asks too much of the proxy itself."""
        self.clients_closed_unread = 0
        """Connections closed because the client did not read its answers."""

    @property
    def answers(self) -> dict[tuple[int, int], int]:
        """(opcode, status class) -> answers to clients."""
        found = dict(self._failures)
        for handling in (*HANDLING.values(), UNKNOWN):
            count = self._successes[handling.number]
            if count:
                key = (handling.opcode, 0)
                found[key] = found.get(key, 0) + count
        return found

    def bucket(self, duration_s: float) -> int:
        """Return where a time belongs in a histogram. What comes in one read and leaves in one has one time."""
        if duration_s != self._last_s:
            self._last_s = duration_s
            self._last_bucket = bisect_left(DURATION_BOUNDS_S, duration_s)
        return self._last_bucket

    def finished(self, handling: Handling, status: int, duration_s: float) -> None:
        """Count the answer to a request that was taken, and its time."""
        if status:
            self._failed(handling, status, duration_s)
        else:
            self._successes[handling.number] += 1
        self.duration_buckets[self.bucket(duration_s)] += 1
        self.duration_sum_s += duration_s

    def answered(self, opcode: int, status: int, duration_s: float | None) -> None:
        """Count one answer to a client.

        Args:
            opcode: of the request.
            status: of the answer.
            duration_s: from its arrival; None: refused or answered at once, which would only make latencies look good.
        """
        handling = HANDLING.get(opcode, UNKNOWN)
        if duration_s is not None:
            self.finished(handling, status, duration_s)
        elif status:
            self._failed(handling, status, HASTE_S)
        else:
            self._successes[handling.number] += 1

    def _failed(self, handling: Handling, status: int, duration_s: float) -> None:
        key = (handling.opcode, status >> 8)
        self._failures[key] = self._failures.get(key, 0) + 1
        if status == _CANCELLED:
            self.cancelled += 1
        elif status == _TIMEOUT and duration_s < HASTE_S:
            self.hasty += 1
