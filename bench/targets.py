"""What is asked of the proxy's cost beside others', and how near it is."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

Row = dict[str, Any]
SIZE: Final = 128


class Target(NamedTuple):
    """Our cost divided by a peer's may be at most this."""

    workload: str
    tls: bool
    peer: str
    at_most: float


TARGETS: Final = (
    Target("64-sync", False, "haproxy", 0.75),
    Target("64-sync", False, "nginx", 0.8),
    Target("64-sync", False, "twemproxy", 0.9),
    Target("1000-sync", False, "haproxy", 0.6),
    Target("1000-sync", False, "nginx", 0.6),
    Target("64x16", False, "twemproxy", 0.5),
    Target("64x16", False, "haproxy", 2.0),
    Target("64x16", False, "nginx", 2.0),
    Target("4x256", False, "twemproxy", 0.35),
    Target("64-sync", True, "haproxy", 1.0),
)


def cost(rows: Sequence[Row], workload: str, size: int, tls: bool, peer: str, build: str = "python") -> float | None:
    """Return a peer's CPU time for a request, None where it was not measured."""
    for row in rows:
        if (row["workload"], row["size"], row["tls"], row["peer"], row["build"]) == (workload, size, tls, peer, build):
            found: float | None = row["cpu_us_per_request"]
            return found
    return None


def ratio(rows: Sequence[Row], target: Target, build: str = "python") -> float | None:
    """Return our cost as a multiple of the peer's, None where one of the two is absent."""
    ours = cost(rows, target.workload, SIZE, target.tls, "redoubt", build)
    its = cost(rows, target.workload, SIZE, target.tls, target.peer)
    return ours / its if ours is not None and its else None
