"""Plain integers that the hot path counts up; `proxy.metrics` makes families of them when it is asked."""

from bisect import bisect_left
from collections import Counter

from hsm_wire.operations import OPERATIONS
from hsm_wire.statuses import Status

DURATION_BOUNDS_S = (
    0.0001, 0.00016, 0.00025, 0.0004, 0.00063,
    0.001, 0.0016, 0.0025, 0.004, 0.0063,
    0.01, 0.016, 0.025, 0.04, 0.063,
    0.1, 0.16, 0.25, 0.4, 0.63,
    1.0, 1.6, 2.5, 4.0, 6.3, 10.0,
)  # fmt: skip
"""Upper bounds of the duration histogram, in seconds, five a decade, so that a quantile read from it is wrong by less
than a third; one more bucket holds the rest."""
OVERLOAD_REASONS = (
    "client_in_flight",
    "failover_full",
    "partition_generations",
    "queue_full",
    "queue_too_long",
    "windows_full",
)
HASTE_S = 0.1
"""Whoever gives a request less than this, a round trip between data centres and a slow operation, wants a TIMEOUT."""
_CANCELLED = int(Status.CANCELLED)
_TIMEOUT = int(Status.TIMEOUT)
_SUCCESS = {opcode: (opcode, 0) for opcode in OPERATIONS}
"""Keys of the answers that nearly all are, made once."""
UNKNOWN_OPERATION = 0
"""Requests with an opcode that this version does not know are counted together: a label may not grow for ever."""


class Counters:
    """What happened since the proxy started."""

    __slots__ = (
        "answers",
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
        self.answers: Counter[tuple[int, int]] = Counter()
        """(opcode, status class) -> answers to clients."""
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

    def answered(self, opcode: int, status: int, duration_s: float | None) -> None:
        """Count one answer to a client.

        Args:
            opcode: of the request.
            status: of the answer.
            duration_s: from its arrival; None: refused or answered at once, which would only make latencies look good.
        """
        key = _SUCCESS.get(opcode) if not status else None
        if key is None:
            key = (opcode if opcode in OPERATIONS else UNKNOWN_OPERATION, status >> 8)
            if status == _CANCELLED:
                self.cancelled += 1
            elif status == _TIMEOUT and duration_s is not None and duration_s < HASTE_S:
                self.hasty += 1
        self.answers[key] += 1
        if duration_s is not None:
            self.duration_buckets[bisect_left(DURATION_BOUNDS_S, duration_s)] += 1
            self.duration_sum_s += duration_s
