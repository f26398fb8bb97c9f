"""The studies beside the matrix, by their names on the command line."""

from collections.abc import Callable
from typing import Final

from bench import client_cost, handshakes, latency, memory, outside
from bench.study import Context, Row

STUDIES: Final[dict[str, Callable[[Context], list[Row]]]] = {
    "latency": latency.measure,
    "handshakes": handshakes.measure,
    "memory": memory.measure,
    "client": client_cost.measure,
    "daemons": outside.measure,
}
MATRIX: Final = "matrix"
"""The name of what is no study: each workload with each peer."""
