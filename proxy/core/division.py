"""The limits of one of several workers: its part of those that are configured for the whole proxy.

Theory. Workers share nothing while they serve, so what is limited is divided once. Limits of one connection or one
frame, and times, are the same however many workers there are; what is counted over all connections, and what is
counted by the second, is divided.
"""

from typing import Final, TypeVar

import msgspec

from proxy.core.settings import Portion, Settings

COUNTS: Final = (
    "clients",
    "identity_clients",
    "identity_control_burst",
    "unfinished_bytes",
    "unread_bytes",
    "handshakes_burst",
    "handshakes_crowd",
    "handshakes_at_once",
    "link_unsent_bytes",
    "partition_generations",
    "queue_requests",
    "queue_bytes",
)
"""Of [limits]: divided into whole numbers."""
RATES: Final = ("identity_control_per_s", "handshakes_per_s", "handshakes_sustained_per_s")
"""Of [limits]: what may be a fraction."""
WHOLE: Final = ("client_in_flight", "client_unread_bytes", "client_pause_bytes", "max_frame_bytes", "bulk_bytes")
"""Of [limits]: what holds for one connection or one frame. The others are times."""
RETRY_COUNTS: Final = ("budget_burst",)
RETRY_RATES: Final = ("budget_per_s",)
_T = TypeVar("_T", bound=msgspec.Struct)


def part_of(whole: Settings, portion: Portion) -> Settings:
    """Return that part's settings."""
    return Settings(
        _divided(whole.limits, COUNTS, RATES, portion),
        _divided(whole.retry, RETRY_COUNTS, RETRY_RATES, portion),
        whole.health,
        whole.ejection,
        whole.balancing,
        portion,
    )


def _divided(whole: _T, counts: tuple[str, ...], rates: tuple[str, ...], portion: Portion) -> _T:
    if portion.of == 1:
        return whole
    fewer = {name: portion.count(getattr(whole, name)) for name in counts}
    return msgspec.structs.replace(whole, **fewer, **{name: getattr(whole, name) / portion.of for name in rates})
