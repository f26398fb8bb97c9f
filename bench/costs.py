"""What things cost, for the model of capacity and its study: what docs/performance.json and bench/scale.json keep.

The first has what `make bench` measured. The second has what that does not measure, such as the memory of a daemon
without clients (`python -m bench.capacity --check --record`), what the model was held against, and the study's rows.
"""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import kept, machine
from bench.simulated_node import Work
from bench.workloads import WORKLOADS

Row = dict[str, Any]
SCALE: Final = Path(__file__).parent / "scale.json"
OURS: Final = "redoubt"
CHEAP: Final = ("P-256 signature", "AES-GCM of 1 KiB")
"""Operations that a node's event loop does by itself; others take a session (`dear` in `hsm_node.backends`)."""
US: Final = 1e-6


def busy_cores(rate: float, cost_s: float, alone_s: float) -> float:
    """Return how busy a loop is: a request costs `alone_s` on an idle one, `cost_s` on one that takes many in a turn.

    The more of a core is used, the more requests each turn finds: the cost goes from the one to the other with it.
    """
    light_s = max(0.0, alone_s - cost_s)
    return rate * (cost_s + light_s) / (1.0 + rate * light_s)


class MissingError(Exception):
    """A figure was never measured; the text says how it is."""


class Costs(NamedTuple):
    """Of the parts of an installation."""

    build: str
    """Of the proxy: python or compiled."""
    requests: Mapping[tuple[str, int, bool], float]
    """Workload, bytes and whether there is TLS -> seconds of a proxy's processor for a request."""
    handshake_s: float
    """Seconds of a proxy's loop for a full one."""
    connection_bytes: Mapping[bool, float]
    """Whether there is TLS -> memory of a proxy for an idle connection."""
    works: Mapping[str, Work]
    """Operation -> what it takes of a node."""
    own: Mapping[str, float]
    """What bench/scale.json has beside: name -> figure."""

    def proxy_s(self, connections: int, in_flight: int, size: int, *, tls: bool) -> float:
        """Return seconds of a proxy's processor for a request: of the measured load that is most like this one.

        With more connections and fewer in flight a request costs more; where there is none that is as unkind, the
        nearest one stands for it.
        """
        fitting = [
            each for each in WORKLOADS if each.in_flight <= in_flight and (each.name, size, tls) in self.requests
        ]
        fitting = [each for each in fitting if each.in_flight == max(other.in_flight for other in fitting)]
        if not fitting:
            raise MissingError(
                f"requests of {size} bytes were not measured; see docs/performance.md for those that were"
            )
        chosen = min(fitting, key=lambda each: (each.connections < connections, abs(each.connections - connections)))
        return self.requests[chosen.name, size, tls]

    def figure(self, name: str) -> float:
        """Return a figure of bench/scale.json."""
        if name not in self.own:
            raise MissingError(f"{name} was not measured: run python -m bench.capacity --check --record")
        return self.own[name]


def load(build: str = "python", performance: Path = kept.KEPT, scale: Path = SCALE) -> Costs:
    """Return what is kept."""
    return of_rows(kept.load(performance).rows, kept.load(scale).rows, build)


def of_rows(rows: list[Row], scale: list[Row], build: str = "python") -> Costs:
    """Return what these rows say. What was not measured of a build is that of plain Python."""
    builds = ["python", *([build] if build != "python" else [])]
    ours = [row for wanted in builds for row in rows if row.get("peer") == OURS and row["build"] == wanted]
    requests = {
        (row["workload"], row["size"], row["tls"]): row["cpu_us_per_request"] * US for row in ours if "workload" in row
    }
    handshakes = [row["cpu_us_per_handshake"] * US for row in ours if row.get("study") == "handshakes"]
    memory = {row["tls"]: row["idle_bytes"] for row in ours if row.get("study") == "memory"}
    works = {row["operation"]: _work(row) for row in rows if row.get("study") == "node"}
    if not (requests and handshakes and memory and works):
        raise MissingError("docs/performance.json has not all figures: run make bench")
    own = {row["mode"]: row["figure"] for row in scale if row.get("study") == "figure"}
    return Costs(build, requests, handshakes[-1], memory, works, own)


def record(rows: list[Row], path: Path = SCALE) -> None:
    """Keep rows in bench/scale.json in place of older ones of the same things."""
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    kept.save(kept.merged(kept.load(path), machine.describe(), rows, day), path)


def _work(row: Row) -> Work:
    """Return what an operation takes: what a bare loop takes as well is the session's, where it has one."""
    whole_s, bare_s = 1.0 / row["node_per_cpu_s"], 1.0 / row["bare_per_cpu_s"]
    return Work(whole_s) if row["operation"] in CHEAP else Work(whole_s - bare_s, bare_s)
