"""Keys made, used and changed while members of the store and nodes are killed, stopped and cut off: what clients saw
must be what docs/consistency.md promises.

`make soak STORE=etcd SECONDS=600`; a minute of it is in `make test-system`. Prints the seed and every fault with its
moment; exit status 1 on any violation, with what is known of the key and the faults before.
"""

import argparse
import asyncio
import logging
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

if __name__ == "__main__":
    _HERE = Path(__file__).resolve().parent
    sys.path += [str(_HERE), *(str(_HERE.parent / name) for name in ("integration", "faults", "live"))]

from bench_process import hsmctl
from key_history import DURABILITIES, USES_DO_NOT_FAIL, WHAT, Violation, check, excerpt, excused, judged
from programs import wait_until
from site_networks import namespaces_lack
from store_clients import StoreClients, hearing
from store_cluster import ACTIVE_NODES, DR, StoreCluster
from store_faults import KINDS, StoreFaults

from hsm_client import connect

RATE = 18.0
"""Keys a second in the mean."""
LEAST_RATE = 10_000 / 600
"""Keys a second that must have been made at the end, of RATE."""
PROGRESS_S = 30.0
END_S = 60.0
"""For the last calls after the end was said."""
AT_ONCE = 64
"""Uses in flight while each key is tried on each node."""
AGAIN_S = 1.0
TRY_S = 70.0
"""For a use that fails then: a key that chaos found guilty is refused for a minute (`retry.poison_s`). If it was not
destroyed before, that is a violation all the same."""
SHOWN = 4
"""Violations of each rule in full."""


class Chaos:
    """One run. `violations` are lines for people."""

    def __init__(self, cluster: StoreCluster, seed: int, *, rate: float = RATE) -> None:
        self.cluster = cluster
        self.seed = seed
        self.rate = rate
        self.broken: list[str] = []
        self.clients = StoreClients(cluster.client_config, seed, rate)
        self.clients.history.recovery_sites = frozenset({DR})
        self.faults = StoreFaults(cluster, seed, self.broken.append)
        self.found: list[Violation] = []
        self.judged: Counter[tuple[str, str]] = Counter()
        """How often a change had to show, by what it is and by its durability."""

    def run(self, lasting_s: float) -> None:
        """Run clients and faults for that long, try each key on each node, judge what was seen."""
        print(f"chaos: {lasting_s:g} s, seed {self.seed}, in {self.cluster.folder}", flush=True)
        # Who was named is in the history; a line for each would hide the faults.
        logging.getLogger("hsm_client").setLevel(logging.ERROR)
        with hearing():
            self.faults.start()
            try:
                self.cluster.run(lambda: self._load(lasting_s))
            finally:
                self.faults.stop()
            for node in ACTIVE_NODES:
                self._only(node)
                self.cluster.run(lambda node=node: self._try_all(node))  # type: ignore[misc]
        self.faults.close()
        least = round(lasting_s * LEAST_RATE * self.rate / RATE)
        if len(self.clients.keys) < least:
            self.broken.append(f"{len(self.clients.keys)} keys were made, and not {least}")
        history = self.clients.history
        history.nodes = frozenset(node.name for node in self.cluster.nodes)
        history.active = frozenset(ACTIVE_NODES)
        history.calm = self.faults.calm
        self.found = check(history)
        self.judged = judged(history)
        for what in WHAT:
            for durability in DURABILITIES:
                if not self.judged[what, durability]:
                    self.broken.append(f"nothing was seen of a key after {what!r} under durability {durability!r}")

    async def _load(self, lasting_s: float) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        loop.call_later(lasting_s, stop.set)
        load = asyncio.ensure_future(self.clients.run(stop))
        began = time.monotonic()
        while not load.done() and time.monotonic() < began + lasting_s + END_S:
            await asyncio.wait([load], timeout=PROGRESS_S)
            print(f"{time.monotonic() - began:8.0f} s  {len(self.clients.keys)} keys", flush=True)
        if not load.done():
            self.broken.append(f"the clients did not end within {END_S:g} s")
            load.cancel()
        await load

    def _only(self, name: str) -> None:
        """Let one node alone serve, as an operator does."""
        operator = self.cluster.config_of("operator")
        for node in sorted(ACTIVE_NODES, key=lambda node: node != name):  # At no time does nobody serve.
            hsmctl(operator, "node", "enable" if node == name else "drain", node, timeout_s=60.0)

        def alone() -> bool:
            return all(
                node["administrative_state"] == ("ready" if node["name"] == name else "drain")
                for proxy in self.cluster.proxies
                for node in proxy.status()["nodes"]
                if node["name"] in ACTIVE_NODES
            )

        wait_until(alone, lambda: f"{name} serves alone")

    async def _try_all(self, node: str) -> None:
        before, end = self._served(node), time.monotonic() + TRY_S
        turn = asyncio.Semaphore(AT_ONCE)
        async with connect(self.cluster.client_config, pool_size=2) as hsm:

            async def one(number: int) -> None:
                async with turn:
                    while not await self.clients.use(self.clients.keys[number], node, hsm) and time.monotonic() < end:
                        await asyncio.sleep(AGAIN_S)

            await asyncio.gather(*(one(number) for number in range(len(self.clients.keys))))
        if self._served(node) - before < len(self.clients.keys):
            self.broken.append(f"the keys were not tried on {node}")

    def _served(self, name: str) -> int:
        return sum(
            node["requests"]
            for proxy in self.cluster.proxies
            for node in proxy.status()["nodes"]
            if node["name"] == name
        )

    def violations(self) -> list[str]:
        """Return everything that must not be, the broken run first."""
        return self.broken + [f"{found.rule}: key {found.key}: {found.detail}" for found in self.found]

    def report(self) -> None:
        """Print what was done and what was found."""
        clients = self.clients
        print(f"keys      {len(clients.keys)}; {len(clients.history.seen)} answers about keys")
        for what, times in sorted(clients.times.items()):
            print(
                f"  {what:8} {times.buckets.total():8}  p50 {times.percentile_s(0.5) * 1000:8.1f} ms  "
                f"p99 {times.percentile_s(0.99) * 1000:8.1f} ms  max {times.slowest_s * 1000:8.1f} ms"
            )
        for what, number in sorted(clients.counts.items()):
            print(f"  {number:8} {what}")
        gone = len(clients.history.failed) - sum(found.rule == USES_DO_NOT_FAIL for found in self.found)
        print(f"  {gone:8} uses that failed, of keys that were not made yet or destroyed")
        print(f"  {excused(clients.history):8} old values after a change that named nodes, marked as stale")
        for what in WHAT:
            seen = ", ".join(f"{self.judged[what, durability]} under {durability}" for durability in DURABILITIES)
            print(f"  {what:8} had to show in answers: {seen}")
        print(f"faults    {', '.join(f'{self.faults.done[name]} {name}' for name in sorted(set(KINDS)))}")
        print(f"violations {len(self.violations())}, seed {self.seed}")
        for line in self.broken:
            print(f"  {line}")
        for rule, number in Counter(found.rule for found in self.found).items():
            print(f"  {number} times: {rule}")
            for found in [found for found in self.found if found.rule == rule][:SHOWN]:
                print(f"    key {found.key}: {found.detail}")
                for line in [*excerpt(clients.history, found), *self.faults.around(found.at)]:
                    print(f"      {line}")


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, run, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--rate", type=float, default=RATE, help="keys a second in the mean")
    parser.add_argument("--keep", action="store_true", help="leave the folder with configuration and logs")
    chosen = parser.parse_args(arguments)
    if lack := namespaces_lack():
        print(f"soak: {lack}", file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="redoubt-chaos-"))
    cluster = StoreCluster(folder, lifetime=timedelta(seconds=chosen.seconds) + timedelta(hours=2))
    try:
        cluster.start()
        chaos = Chaos(cluster, chosen.seed, rate=chosen.rate)
        chaos.run(chosen.seconds)
    finally:
        cluster.stop()
    chaos.report()
    if chaos.violations():
        print(f"the logs are in {folder}")
    elif not chosen.keep:
        subprocess.run(["rm", "-rf", str(folder)], check=True)
    return 1 if chaos.violations() else 0


if __name__ == "__main__":
    sys.exit(main())
