"""Faults at random, from a seed, in the sites of a cluster: members and nodes killed and stopped, networks cut.

A round draws one to three faults that may be there together, brings them about one after the other, holds them, heals
networks and members first and nodes then, and waits until everything serves again. What may be there together: every
proxy that clients reach has a living node that it reaches, and a majority of the store's members can talk, except in
one round of ten, which is short.
"""

import itertools
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable

from etcd import Member
from key_history import Calm
from scale import SLACK
from store_cluster import ACTIVE, ACTIVE_NODES, SITES, SiteProgram, StoreCluster, site_of

QUIET_S = (0.5, 4.0)
HOLD_S = (1.0, 8.0)
SHORT_S = (0.5, 3.0)
"""Without a majority: changes wait, and nodes that start wait with them."""
APART_S = (0.0, 1.5)
"""Between two faults of a round."""
WHOLE_S = 40.0 * SLACK
WITHOUT_MAJORITY = 0.1

PAIRS = tuple(itertools.combinations(SITES, 2))
Fault = tuple[str, str]
"""What is done, and to whom."""
KINDS = (
    "kill member",
    "stop member",
    "kill node",
    "stop node",
    "drop",
    "cut",
    "isolate",
    "isolate",
    "lose all members",
)
"""`drop`: clients do not reach that site either; `isolate`: they do, and its nodes reach no other site."""


class StoreFaults:
    """A thread that hurts the cluster. `calm` are the times in which nothing was wrong."""

    def __init__(self, cluster: StoreCluster, seed: int, violation: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._chance = random.Random(seed)
        self._violation = violation
        self._stop = threading.Event()
        self._ended, self._released = threading.Event(), threading.Event()
        # What a thread has started ends with it (PR_SET_PDEATHSIG): this one stays until the cluster has been stopped.
        self._thread = threading.Thread(target=self._main, name="store-faults", daemon=True)
        self.done: Counter[str] = Counter()
        self.calm: list[Calm] = []
        self.told: list[tuple[float, str]] = []
        """When which faults began and ended, for whoever reads a violation."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End when everything is whole."""
        self._stop.set()
        self._ended.wait()

    def close(self) -> None:
        """Let the thread end; the daemons that it has started end with it."""
        self._released.set()
        self._thread.join()

    def around(self, moment: float, seconds: float = 8.0) -> list[str]:
        """Return what was said in the time before a moment."""
        return [f"{at:.3f} {text}" for at, text in self.told if moment - seconds <= at <= moment]

    def _main(self) -> None:
        try:
            whole_since = time.monotonic()
            while not self._stop.wait(self._chance.uniform(*QUIET_S)):
                self.calm.append(Calm(whole_since, time.monotonic()))
                self._round(self._draw())
                self._wait_whole()
                whole_since = time.monotonic()
                self._tell("whole")
            self.calm.append(Calm(whole_since, float("inf")))
        except Exception as error:  # noqa: BLE001 - chaos without faults proves nothing: it ends as broken
            self._violation(f"the faults ended: {error!r}")
        self._ended.set()
        self._released.wait()

    def _draw(self) -> list[Fault]:
        majority = self._chance.random() >= WITHOUT_MAJORITY
        wanted = self._chance.choice((1, 1, 2, 2, 3))
        while True:
            faults: list[Fault] = []
            for _ in range(20):
                fault = self._one()
                if len(faults) < wanted and may_be([*faults, fault], majority=majority):
                    faults.append(fault)
            if faults and (majority or not has_majority(faults)):
                return faults
            wanted = max(wanted, 2)

    def _one(self) -> Fault:
        kind = self._chance.choice(KINDS)
        if kind == "lose all members":
            return kind, "store"
        if kind == "cut":
            return kind, " ".join(self._chance.choice(PAIRS))
        if kind.endswith("node"):
            return kind, self._chance.choice([node.name for node in self._cluster.nodes])
        return kind, self._chance.choice(SITES)

    def _round(self, faults: list[Fault]) -> None:
        hold_s = self._chance.uniform(*(HOLD_S if has_majority(faults) else SHORT_S))
        for fault in faults:
            self._tell(f"begin {' '.join(fault)}")
            self.done[fault[0]] += 1
            self._begin(*fault)
            time.sleep(self._chance.uniform(*APART_S))
        time.sleep(hold_s)
        for kind, whom in sorted(faults, key=lambda fault: fault[0].endswith("node")):
            self._tell(f"end {kind} {whom}")
            self._end(kind, whom)

    def _begin(self, kind: str, whom: str) -> None:
        match kind:
            case "drop":
                self._cluster.networks.drop(whom)
            case "cut" | "isolate":
                for one, other in _cuts(kind, whom):
                    self._cluster.networks.cut(one, other)
            case "lose all members":
                for member in self._cluster.members.values():
                    member.kill()
            case _ if kind.startswith("kill"):
                self._process(kind, whom).kill()
            case _:
                self._process(kind, whom).signal(signal.SIGSTOP)

    def _end(self, kind: str, whom: str) -> None:
        match kind:
            case "drop":
                self._cluster.networks.restore(whom)
            case "cut" | "isolate":
                for one, other in _cuts(kind, whom):
                    self._cluster.networks.join(one, other)
            case "lose all members":
                for member in self._cluster.members.values():
                    member.start()
            case _ if kind.startswith("kill"):
                self._process(kind, whom).start()
            case _:
                self._process(kind, whom).signal(signal.SIGCONT)

    def _process(self, kind: str, whom: str) -> SiteProgram | Member:
        if kind.endswith("member"):
            return self._cluster.members[whom]
        [found] = [node for node in self._cluster.nodes if node.name == whom]
        assert isinstance(found, SiteProgram)
        return found

    def _wait_whole(self) -> None:
        end = time.monotonic() + WHOLE_S
        for node in self._cluster.nodes:
            node.wait_ready()
        while True:
            try:
                self._cluster.wait_current()
                self._cluster.wait_in_rotation()
            except AssertionError as error:
                if time.monotonic() > end:
                    self._violation(f"not whole {WHOLE_S:g} s after {self.told[-1]}: {str(error)[:300]}")
                    return
            else:
                return

    def _tell(self, text: str) -> None:
        self.told.append((time.monotonic(), text))
        print(f"{time.monotonic():.3f} {text}", flush=True)


def _cuts(kind: str, whom: str) -> list[tuple[str, str]]:
    """Return the pairs of sites that a fault parts."""
    if kind == "cut":
        return [pair for pair in PAIRS if " ".join(pair) == whom]
    return [pair for pair in PAIRS if whom in pair] if kind == "isolate" else []


def has_majority(faults: Iterable[Fault]) -> bool:
    """Return whether two members of the store can talk."""
    lost = {whom for kind, whom in faults if kind in ("kill member", "stop member", "drop")}
    if any(kind == "lose all members" for kind, _ in faults):
        return False
    cut = {pair for kind, whom in faults for pair in _cuts(kind, whom)}
    return any(not {*pair} & lost and pair not in cut for pair in PAIRS)


def may_be(faults: Iterable[Fault], *, majority: bool) -> bool:
    """Return whether these may be there at one time: nothing is hurt twice, and somebody can serve."""
    faults = list(faults)
    hurt = Counter(whom for kind, whom in faults if kind.split()[-1] in ("member", "node"))
    networks = sum(kind in ("drop", "cut", "isolate") for kind, _ in faults)
    everything = [kind for kind, _ in faults if kind == "lose all members"]
    if max(hurt.values(), default=0) > 1 or networks > 1 or len(everything) > 1:
        return False
    if everything and any(kind.endswith("member") for kind, _ in faults):
        return False
    return _somebody_serves(faults) and (has_majority(faults) or not majority)


def _somebody_serves(faults: Iterable[Fault]) -> bool:
    """Whether each active site that clients reach has a living node in its reach."""
    dropped = {whom for kind, whom in faults if kind == "drop"}
    lost = {whom for kind, whom in faults if kind.endswith("node")}
    apart = any(ACTIVE in _cuts(kind, whom) for kind, whom in faults) or bool(dropped)
    living = [site_of(node) for node in ACTIVE_NODES if node not in lost]
    return all(site in living if apart else living for site in ACTIVE if site not in dropped)
