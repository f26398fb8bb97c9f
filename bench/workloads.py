"""What is measured: so many connections with so many requests in flight each."""

from typing import NamedTuple


class Workload(NamedTuple):
    """A load, by its name in the report."""

    name: str
    connections: int
    in_flight: int

    def fits(self, size: int) -> bool:
        """Say whether requests of that size may be in flight in that number."""
        return self.in_flight * size <= MOST_FOR_ONE_BYTES


MOST_FOR_ONE_BYTES = 8 << 20
"""In flight on one connection: more unread answers than that, and a proxy with its defaults closes it."""
WORKLOADS = (
    Workload("64-sync", 64, 1),
    Workload("1000-sync", 1000, 1),
    Workload("64x16", 64, 16),
    Workload("4x256", 4, 256),
)


class Plan(NamedTuple):
    """A run: which loads, how long, how often."""

    plain: tuple[Workload, ...]
    tls: tuple[Workload, ...]
    sizes: tuple[int, ...]
    """Bytes of a request and of its answer, header included."""
    seconds: float
    warm_up_seconds: float
    rounds: int
    budget_seconds: float
    """No round begins that would probably end after this."""
    rate: float = 0.0
    """Requests a second, open loop; 0: closed loop."""

    def workloads(self, *, tls: bool) -> tuple[Workload, ...]:
        """Return the loads with or without TLS."""
        return self.tls if tls else self.plain


def chosen(names: list[str] | None) -> tuple[Workload, ...]:
    """Return the loads of those names; None: all."""
    return tuple(workload for workload in WORKLOADS if names is None or workload.name in names)


QUICK = Plan(
    plain=WORKLOADS,
    tls=chosen(["64-sync", "64x16"]),
    sizes=(128,),
    seconds=0.5,
    warm_up_seconds=0.15,
    rounds=2,
    budget_seconds=45.0,
)
FULL = Plan(
    plain=WORKLOADS,
    tls=WORKLOADS,
    sizes=(128, 4096, 65536),
    seconds=2.0,
    warm_up_seconds=0.3,
    rounds=5,
    budget_seconds=7200.0,
)
