"""What a measurement is asked to do."""

import msgspec


class LoadPlan(msgspec.Struct, frozen=True):
    """`seconds` or `total` (or both) end it. `rate`: requests a second over all connections; None = closed loop."""

    clients: int
    in_flight: int
    seconds: float | None
    total: int | None
    rate: float | None
    retry: bool
    timeout_s: float
