"""When to send again and how long to wait before. Pure: chance is an argument."""

from random import Random
from typing import Final

from hsm_wire.statuses import STATUS_TABLE, Status

RESEND_BASE_S: Final = 0.02
"""Mean wait before the first re-sending is half of this."""
RESEND_CAP_S: Final = 1.0
"""No wait between re-sendings is longer: a cluster that is back is used within a second."""
RECONNECT_BASE_S: Final = 0.05
RECONNECT_CAP_S: Final = 2.0
"""The same for connections: thousands of clients may come back after one proxy's restart."""
_MAX_DOUBLINGS: Final = 16

RECONNECT_SAME_S: Final = 0.25
"""Longest wait before a proxy that was just lost is tried again: all of its clients come at once."""

# A TIMEOUT may be sent again, but only with more time: that is the caller's to decide.
_RESENT = frozenset(int(row.status) for row in STATUS_TABLE.values() if row.resend) - {int(Status.TIMEOUT)}


def wait_s(attempt: int, base_s: float, cap_s: float, rng: Random) -> float:
    """Return the wait before attempt number `attempt` (from 1): exponential with full jitter."""
    ceiling = min(cap_s, base_s * float(1 << min(max(attempt - 1, 0), _MAX_DOUBLINGS)))
    return rng.uniform(0.0, ceiling)


def may_resend(status: int) -> bool:
    """Whether the same request may succeed later. Every operation is safe to send twice, so also if it may have run."""
    return status in _RESENT


def resend_wait_s(attempt: int, retry_after_ms: int, rng: Random) -> float:
    """Return the wait before re-sending; the cluster's wish is a lower bound, jittered upwards."""
    return retry_after_ms / 1000 + wait_s(attempt, RESEND_BASE_S, RESEND_CAP_S, rng)
