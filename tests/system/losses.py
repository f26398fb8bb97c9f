"""Both productive sites are lost at a random moment while keys are made, and the DR site is promoted by one command:
which keys are left, and how long it took (`make losses COUNT=20 KEYS=10000`).

Everything of the two sites is killed, in a random order: proxies, nodes, members of the store. Then `hsmctl dr promote
--force`, and every key that any client was told of is used through the clients that were there before. Prints a row for
each loss; exit status 1 where one of them breaks what docs/disaster-recovery.md promises.
"""

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

if __name__ == "__main__":
    _HERE = Path(__file__).resolve().parent
    sys.path += [str(_HERE), *(str(_HERE.parent / name) for name in ("integration", "faults", "live"))]

from data_centres import Dev
from loss_clients import DR_SITE, DURABILITIES, KINDS, LossClients
from loss_rules import Loss, judge, judge_changes, judge_clients
from many_records import fill_members
from programs import wait_until
from scale import SLACK

from hsm_cluster.address import Address
from hsm_daemon.tls import TlsFiles
from hsm_node.core.keyring import Keyring
from hsmctl.dev import readiness

SITES: Final = ("zurich", "geneva")
"""The productive ones."""
MOMENT_S: Final = (2.0, 6.0)
"""After the clients have begun, the loss comes between these."""
AFTER_S: Final = 2.0
"""Of load after the promotion: no request of it may fail."""
LOOK_S: Final = 0.5
FILLED_S: Final = 120.0 * SLACK
STARTS: Final = 5


def lose(dev: Dev, seed: int, behind_s: float = 0.0) -> Loss:
    """Lose both productive sites of a cluster, promote its DR site, use every key; return what was found.

    Args:
        dev: the cluster, which serves.
        seed: of the moment, and of the order.
        behind_s: for so long before the loss the DR site's member stands still.
    """
    loss, chance = Loss(seed), random.Random(seed)
    clients = LossClients(dev.folder / "client.toml")
    try:
        clients.start()
        watch = LagWatch(dev)
        time.sleep(chance.uniform(*MOMENT_S))
        with standing_still(dev) if behind_s else nullcontext():
            time.sleep(behind_s)
            loss.lag_s = watch.end()
            lost_at = time.monotonic()
            dev.kill_sites(SITES, chance.shuffle)
            gone_at = time.monotonic()
        done = dev.hsmctl("dr", "promote", "--force", "--yes", "--json")
        promoted_at = time.monotonic()
        loss.process_s = promoted_at - gone_at
        if done.returncode:
            loss.broken.append(f"the promotion failed: {done.stderr.strip()}")
            return loss
        loss.command_s = json.loads(done.stdout)["seconds"]
        time.sleep(AFTER_S)
        clients.rest()
        judge(loss, clients.made, clients.try_all(), lost_at, gone_at)
        judge_clients(loss, clients.used, gone_at, promoted_at)
        clients.history.nodes = frozenset(node["name"] for node in dev.manifest["nodes"])
        judge_changes(loss, clients.history, lost_at, promoted_at)
    finally:
        clients.close()
    return loss


@contextmanager
def standing_still(dev: Dev) -> Iterator[None]:
    """Stop the DR site's member of the store meanwhile."""
    [member] = [member for member in dev.manifest["store"] if member["site"] == DR_SITE]
    os.kill(member["pid"], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(member["pid"], signal.SIGCONT)


class LagWatch:
    """Asks the node of the DR site, again and again, how far it and its site's copy are behind."""

    def __init__(self, dev: Dev) -> None:
        [self._node] = [node for node in dev.manifest["nodes"] if node["site"] == DR_SITE]
        [self._proxy] = [proxy for proxy in dev.manifest["proxies"] if proxy["site"] == DR_SITE]
        self._last: float | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lag")
        self._thread.start()

    def end(self) -> float | None:
        """Return what was seen last."""
        self._ended.set()
        self._thread.join()
        return self._last

    def _watch(self) -> None:
        while True:
            self._last = self._seen()
            if self._ended.wait(LOOK_S):
                return

    def _seen(self) -> float | None:
        """Return the worse of what the proxies say of the node, and the node of its copy."""
        of_node = [
            node for node in readiness.status(self._proxy["admin"])["nodes"] if node["name"] == self._node["name"]
        ]
        page = readiness.get(self._node["admin"], "/metrics")[1].decode()
        of_copy = [line for line in page.splitlines() if line.startswith("hsm_node_recovery_lag_seconds")]
        known = [node["lag_s"] for node in of_node] + [float(line.split()[-1]) for line in of_copy]
        return None if None in known or any(value != value for value in known) else max(known)


def fill(dev: Dev, count: int) -> None:
    """Put that many keys into the running cluster, and wait until every node has them."""
    ring = Keyring(bytes.fromhex((dev.folder / "master.key").read_text().strip()))
    tls = TlsFiles(*(dev.folder / name for name in ("store-ca.pem", "node-1-store.pem", "node-1-store-key.pem")))
    addresses = [Address.parse(member["address"]) for member in dev.manifest["store"]]
    fill_members(addresses, tls, "dev", ring, count, "ec-p256")

    def counts() -> list[int]:
        return [readiness.status(node["admin"]).get("keys", 0) for node in dev.manifest["nodes"]]

    wait_until(lambda: min(counts()) >= count, lambda: f"{count} keys on every node: {counts()}", FILLED_S)


HEAD: Final = (
    "            under dr    under quorum         pending      there before  lag   command process client\n"
    "     seed   keys lost   keys lost oldest s   keys lost   keys    lost   s     s       s       s paused"
)


def row(loss: Loss) -> str:
    """Return one line of the table."""
    dr, quorum, pending, before = (f"{loss.keys[kind]:6} {loss.lost[kind]:4}" for kind in KINDS)
    lag = "    ?" if loss.lag_s is None else f"{loss.lag_s:5.2f}"
    times = f"{loss.command_s:7.1f} {loss.process_s:7.1f} {loss.pause_s:7.1f}"
    return f"{loss.seed:10} {dr} {quorum} {loss.oldest_lost_s:8.3f} {pending} {before} {lag} {times}"


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, lose, print."""
    parser = argparse.ArgumentParser(prog="make losses", description=__doc__)
    parser.add_argument("--count", type=int, default=20, help="losses, each of a cluster of its own")
    parser.add_argument("--keys", type=int, default=0, help="keys that are there before")
    parser.add_argument("--behind", type=float, default=0.0, help="so long the DR site's member stands still before")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbits(31), help="of the first loss; the next has one more"
    )
    chosen = parser.parse_args(arguments)
    losses: list[Loss] = []
    print(HEAD, flush=True)
    for number in range(chosen.count):
        folder, dev = _started()
        try:
            if chosen.keys:
                fill(dev, chosen.keys)
            losses.append(lose(dev, chosen.seed + number, chosen.behind))
        finally:
            dev.stop()
        print(row(losses[-1]), flush=True)
        for line in losses[-1].broken:
            print(f"           {line}", flush=True)
        if not losses[-1].broken:
            subprocess.run(["rm", "-rf", str(folder)], check=True)
        else:
            print(f"           the logs are in {folder}", flush=True)
    return _sum(losses)


def _started() -> tuple[Path, Dev]:
    """Start a cluster. One that a busy machine does not start in time is not what is looked at here."""
    for attempt in range(STARTS):
        folder = Path(tempfile.mkdtemp(prefix="redoubt-loss-"))
        try:
            return folder, Dev(folder / "dc")
        except AssertionError as error:
            print(f"           no cluster at start {attempt + 1}: {str(error).splitlines()[-1]}", flush=True)
    raise AssertionError(f"no cluster after {STARTS} starts")


def _sum(losses: list[Loss]) -> int:
    for kind in KINDS:
        print(f"{kind}: {sum(loss.keys[kind] for loss in losses)} keys, {sum(loss.lost[kind] for loss in losses)} lost")
    for durability in DURABILITIES:
        print(f"{durability}: {sum(loss.ended[durability] for loss in losses)} keys destroyed, each tried afterwards")
    slowest = max(loss.process_s for loss in losses)
    bad = sum(bool(loss.broken) for loss in losses)
    print(f"slowest command {slowest:.1f} s, longest pause {max(loss.pause_s for loss in losses):.1f} s")
    print(f"{len(losses)} losses, {bad} broke what is promised")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
