"""How fast a node is ready with many keys, what it needs for them, and when a change is on every node.

`make bench-store` (KEYS=100000): three nodes and a proxy on loopback with mutual TLS, and three members of etcd that
wait for their disk; `ARGS="--store sqlite"` for comparison. Processor seconds beside the clock's: whatever else runs on
the machine makes these longer, and hardly those.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":
    _HERE = Path(__file__).resolve().parent
    sys.path += [str(_HERE), *(str(_HERE.parent / name) for name in ("integration", "faults", "live"))]

from cluster import Cluster
from etcd import EtcdCluster
from many_records import fill_etcd, fill_file
from process_table import processor_s, usage_of
from programs import Program, get, wait_until

from hsm_client import sync
from hsm_client.errors import HsmError

KEYS = 100_000
TYPE = "ec-p256"
LABEL = "key-{}"
CHANGES = 300
RATE = 20.0
"""Changes a second: each is over before the next begins."""
START_S = 120.0
"""For a node that loads, on a machine that does other work."""
SURE = ("--unsafe-no-fsync=false",)
"""Members write to their disk before they answer, as they do in earnest."""
MIB = 1 << 20


class Readiness(NamedTuple):
    """Of one start of one node."""

    clock_s: float
    processor_s: float
    resident_bytes: int


class Changes(NamedTuple):
    """Made one after the other."""

    took_s: list[float]
    """From each request to its answer."""
    processor_s: float
    """Of nodes and proxy for each, the looks whether it has arrived included."""

    def percentile_s(self, share: float) -> float:
        """Return what that share of them took at most."""
        return sorted(self.took_s)[min(len(self.took_s) - 1, int(share * len(self.took_s)))]


class ManyKeys:
    """A cluster whose store has many keys. Nodes are started one after the other, and measured."""

    def __init__(self, cluster: Cluster, etcd: EtcdCluster | None) -> None:
        self.cluster = cluster
        self.etcd = etcd
        self.ids: list[str] = []

    def fill(self, count: int) -> None:
        """Put the keys into the store."""
        if self.etcd is None:
            self.ids = fill_file(self.cluster, count, TYPE, LABEL)
        else:
            self.ids = fill_etcd(self.cluster, self.etcd, count, TYPE, LABEL)

    def start(self, node: Program) -> Readiness:
        """Start a node; return what it took until it said that it is ready."""
        begun = time.monotonic()
        node.start()
        wait_until(lambda: get(node.admin_port, "/readyz")[0] == 200, node.log, START_S)
        took = time.monotonic() - begun
        usage = usage_of(node.pid)
        assert usage is not None
        assert node.status()["keys"] == len(self.ids)
        return Readiness(took, processor_s(node.pid), usage.resident_bytes)

    def change(self, count: int) -> Changes:
        """Change keys at a low rate through the proxy, and look each time whether every node has it.

        What a proxy passed on is answered when every node has confirmed it, so the answer's time is an upper bound.
        """
        took: list[float] = []
        used = self._processor_s()
        with sync.connect(self.cluster.client_config) as hsm:
            for number, key_id in enumerate(self.ids[:count]):
                key = hsm.key(key_id)
                before = max(self._revisions())
                begun = time.monotonic()
                key.update(label=f"changed-{number}")
                took.append(time.monotonic() - begun)
                after = self._revisions()
                assert min(after) > before, f"answered at {before}, nodes are at {after}"
                time.sleep(max(0.0, begun + 1 / RATE - time.monotonic()))
        return Changes(took, (self._processor_s() - used) / count)

    def _processor_s(self) -> float:
        return sum(processor_s(program.pid) for program in (*self.cluster.nodes, self.cluster.proxy))

    def _revisions(self) -> list[int]:
        return [node.status()["applied_revision"] for node in self.cluster.nodes]


@contextmanager
def many_keys(folder: Path, count: int, *, on_etcd: bool = True, flags: tuple[str, ...] = ()) -> Iterator[ManyKeys]:
    """Make a cluster with so many keys; no node of it runs. `flags` are the members'."""
    with ExitStack() as stack:
        (folder / "nodes").mkdir(parents=True)
        cluster = Cluster(folder / "nodes", "uvloop")
        stack.callback(cluster.stop)
        etcd = None
        if on_etcd:
            etcd = EtcdCluster(folder / "etcd", 3, tls=True, flags=("--pre-vote", *flags))
            stack.callback(etcd.stop)
            etcd.start()
            for node in cluster.nodes:
                cluster.write_node(node, store=etcd.store_toml())
        made = ManyKeys(cluster, etcd)
        made.fill(count)
        yield made


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="make bench-store", description=__doc__)
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("--changes", type=int, default=CHANGES)
    parser.add_argument("--store", choices=["etcd", "sqlite"], default="etcd")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="redoubt-many-") as name:
        began = time.monotonic()
        with many_keys(Path(name), chosen.keys, on_etcd=chosen.store == "etcd", flags=SURE) as many:
            print(f"{chosen.keys} keys in {chosen.store}, filled in {time.monotonic() - began:.1f} s", flush=True)
            for node in many.cluster.nodes:
                _tell(f"{node.name}, first start", many.start(node))
            last = many.cluster.nodes[-1]
            last.terminate()
            _tell(f"{last.name}, started again", many.start(last))
            many.cluster.proxy.start()
            many.cluster.proxy.wait_ready()
            many.cluster.wait_in_rotation()
            changes = many.change(chosen.changes)
            median = statistics.median(changes.took_s) * 1000
            print(
                f"{len(changes.took_s)} changes, each on all nodes when it was answered: p50 {median:.1f} ms, "
                f"p99 {changes.percentile_s(0.99) * 1000:.1f} ms, slowest {max(changes.took_s) * 1000:.1f} ms "
                f"({changes.processor_s * 1000:.1f} ms of processor each)"
            )
    return 0


def _tell(what: str, ready: Readiness) -> None:
    print(
        f"{what}: ready after {ready.clock_s:.1f} s ({ready.processor_s:.1f} s of processor), "
        f"{ready.resident_bytes / MIB:.0f} MiB resident",
        flush=True,
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (AssertionError, HsmError) as error:
        sys.exit(f"bench-store: {error}")
