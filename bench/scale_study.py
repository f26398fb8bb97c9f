"""Ten thousand clients, eight proxies and four nodes on paper: what requests wait for, and what happens when they come
back all at once. `python -m bench.scale_study [--record]` takes a minute or two.

Requests are drawn, queued and counted by the proxy's own core, under the windows that the node's own code names
(`simulated_proxy`, `simulated_node`); what requests take is what was measured (`costs`). Chance comes from a seed.
"""

import argparse
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from bench import costs
from bench.agenda import BEGIN_S, Agenda
from bench.costs import Costs
from bench.simulated_node import SimulatedNode
from bench.simulated_proxy import SimulatedProxy
from bench.storm import Storm
from bench.storm import run as run_storm
from hsm_wire import kinds
from hsm_wire.frames import HEADER, Frame, encode_frame
from hsm_wire.limits import HEADER_BYTES
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import Role
from hsm_wire.statuses import status_name
from proxy.core.division import part_of
from proxy.core.parties import Client
from proxy.core.settings import Limits, Portion, Settings

Row = dict[str, Any]
SEED: Final = 1
SETTLE_S: Final = 1.5
"""Before anything is measured: nodes have told of their windows, by what they have measured themselves."""
TAIL_S: Final = 0.3
"""After what is measured, in which requests go on to come."""
DRAIN_S: Final = 2.0
"""For the answers that are owed at the end."""
SIZE: Final = 128
SIGN: Final = int(Opcode.SIGN)
RSA: Final = "RSA-2048 signature"
P256: Final = "P-256 signature"


class Plan(NamedTuple):
    """One run."""

    name: str
    load: float
    """Of what all nodes can do together."""
    operation: str = RSA
    clients: int = 10_000
    proxies: int = 8
    workers: int = 1
    nodes: int = 4
    sessions: int = 2
    ways_ms: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)
    """To each node, one way."""
    seconds: float = 2.0
    lost: bool = False
    """The last node is lost when the measurement begins."""
    slow: float = 1.0
    """How much longer the last node takes, from the beginning of the measurement on."""


PLANS: Final = (
    *(Plan(f"load {load:.0%}", load) for load in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.1)),
    Plan("P-256, load 80%", 0.8, operation=P256, seconds=1.0),
    *(
        Plan(f"{proxies} x {workers} workers, load 80%", 0.8, proxies=proxies, workers=workers)
        for proxies, workers in ((1, 1), (2, 1), (8, 4), (8, 8))
    ),
    Plan("two nodes 10 ms away, load 80%", 0.8, ways_ms=(0.25, 0.25, 10.0, 10.0)),
    Plan("load 60%", 0.6),
    Plan("load 60%, a node is lost", 0.6, lost=True),
    Plan("load 60%, a node takes ten times as long", 0.6, slow=10.0),
)
_WHOLE: Final = Limits()
STORMS: Final = (
    Storm("one of 8 proxies is lost", 10_000, 8),
    Storm("one of 3 proxies is lost", 1_000, 3),
    Storm("one of 2 proxies is away for 1 s", 1_000, 2, down_s=1.0),
    Storm("all of 8 proxies are away for 1 s", 10_000, 8, lost=8, down_s=1.0),
    Storm("the only proxy is away for 1 s", 10_000, 1, connections=1, down_s=1.0),
    Storm(
        "the same, handshakes_crowd = 10000",
        10_000,
        1,
        connections=1,
        down_s=1.0,
        limits=Limits(handshakes_crowd=10_000),
    ),
)


class Crowd:
    """The clients: they ask at random moments, each over one of its connections, and wait for nothing."""

    def __init__(
        self, agenda: Agenda, rng: random.Random, seats: list[SimulatedProxy], plan: Plan, rate: float
    ) -> None:
        self.took_s: list[float] = []
        """Of the requests that were begun while `counting`."""
        self.statuses: Counter[int] = Counter()
        self.counting = self.stopped = False
        self._agenda = agenda
        self._rng = rng
        self._seats = seats
        self._plan = plan
        self._rate = rate
        self._clients: dict[tuple[int, int], Client] = {}
        self._begun: dict[int, tuple[float, bool]] = {}
        self._next_id = 1
        self._body = bytes(SIZE - HEADER_BYTES)

    def ask(self) -> None:
        """Send one request, and go on."""
        if self.stopped:
            return
        rng, plan = self._rng, self._plan
        number = rng.randrange(plan.clients)
        proxy = (number + rng.randrange(min(2, plan.proxies))) % plan.proxies
        place = proxy * plan.workers + number // plan.proxies % plan.workers
        seat = self._seats[place]
        request_id = self._next_id
        self._next_id += 1
        self._begun[request_id] = self._agenda.now, self.counting
        raw = encode_frame(kinds.REQUEST, self._body, request_id=request_id, opcode=SIGN, operation_id=request_id)
        frame = Frame(kinds.REQUEST, 0, request_id, 0, 0, SIGN, 0, request_id, raw)
        seat.ask(self._client(number, place, seat), frame)
        self._agenda.after(rng.expovariate(self._rate), self.ask)

    def _client(self, number: int, place: int, seat: SimulatedProxy) -> Client:
        found = self._clients.get((number, place))
        if found is None:
            identity = f"spiffe://study/client/{number}"
            principal = seat.principals.join(identity, 1 + number % 8, [Role.USE])
            found = self._clients[number, place] = Client(self._answered, principal)
        return found

    def _answered(self, raw: bytes) -> None:
        _, _, _, _, request_id, _, _, _, status, _ = HEADER.unpack_from(raw)
        begun, counts = self._begun.pop(request_id)
        if counts:
            self.statuses[status] += 1
            self.took_s.append(self._agenda.now - begun)


class Study:
    """One run."""

    def __init__(self, plan: Plan, found: Costs, seed: int = SEED) -> None:
        self.plan = plan
        agenda, rng = self.agenda, _ = Agenda(), random.Random(seed)
        work = found.works[plan.operation]
        self.nodes = [
            SimulatedNode(agenda, rng, f"node-{number + 1}", work, plan.sessions) for number in range(plan.nodes)
        ]
        ways = {node: plan.ways_ms[at % len(plan.ways_ms)] / 1000 for at, node in enumerate(self.nodes)}
        cost_s = found.proxy_s(plan.clients, 1, SIZE, tls=True)
        self.seats = [
            SimulatedProxy(agenda, rng, f"proxy-{proxy}", _settings(worker, plan.workers), ways, cost_s)
            for proxy in range(plan.proxies)
            for worker in range(1, plan.workers + 1)
        ]
        self.rate = plan.load * plan.nodes * work.most_per_s(plan.sessions)
        self.crowd = Crowd(agenda, rng, self.seats, plan, self.rate)

    def run(self) -> Row:
        """Return what was found."""
        agenda, plan = self.agenda, self.plan
        agenda.at(BEGIN_S + 0.2, self.crowd.ask)
        agenda.run(BEGIN_S + SETTLE_S)
        windows = sorted(node.window for seat in self.seats for node in seat.table.nodes)
        last = self.nodes[-1]
        last.slow = plan.slow
        if plan.lost:
            last.crash()
        before = self._busy()
        answered = [node.answered for node in self.nodes]
        self.crowd.counting = True
        agenda.run(BEGIN_S + SETTLE_S + plan.seconds)
        self.crowd.counting = False
        after = self._busy()
        done = [node.answered - start for node, start in zip(self.nodes, answered, strict=True)]
        agenda.run(agenda.now + TAIL_S)
        self.crowd.stopped = True
        agenda.run(agenda.now + DRAIN_S)
        return self._row(windows[len(windows) // 2], [b - a for a, b in zip(before, after, strict=True)], done)

    def _busy(self) -> list[float]:
        """Return the seconds that the busiest part of each node, and each proxy's loop, has worked."""
        nodes = (
            (node.sessions_at_work.busy_s / node.sessions if node.work.session_s else node.loop.busy_s)
            for node in self.nodes
        )
        return [*nodes, *(seat.loop.busy_s for seat in self.seats)]

    def _row(self, window: int, busy_s: list[float], done: list[int]) -> Row:
        plan, crowd = self.plan, self.crowd
        took = sorted(crowd.took_s)
        nodes = busy_s[: plan.nodes - plan.lost]
        proxies = busy_s[plan.nodes :]
        counts = crowd.statuses
        return {
            "study": "simulation",
            "mode": plan.name,
            "rate": round(self.rate),
            "requests": counts.total(),
            "failed": {status_name(status): count for status, count in sorted(counts.items()) if status},
            "p50_ms": _percentile_ms(took, 0.5),
            "p99_ms": _percentile_ms(took, 0.99),
            "p99_9_ms": _percentile_ms(took, 0.999),
            "nodes_busy": round(sum(nodes) / len(nodes) / plan.seconds, 3),
            "proxies_busy": round(sum(proxies) / len(proxies) / plan.seconds, 3),
            "least_share": round(min(done) / max(1, sum(done)), 4),
            "most_share": round(max(done) / max(1, sum(done)), 4),
            "window": window,
            "resent": sum(seat.counters.failovers for seat in self.seats),
        }


def _settings(worker: int, workers: int) -> Settings:
    return part_of(Settings(), Portion(worker, workers))


def _percentile_ms(took: list[float], share: float) -> float:
    return round(took[min(len(took) - 1, int(len(took) * share))] * 1000, 3) if took else 0.0


def simulate(plan: Plan, found: Costs, seed: int = SEED) -> Row:
    """Return the row of a plan; the same seed gives the same."""
    return Study(plan, found, seed).run()


def storm_row(storm: Storm, found: Costs, seed: int = SEED) -> Row:
    """Return the row of a storm."""
    outcome = run_storm(storm, found.handshake_s, seed)
    figures = {name: round(value, 2) for name, value in outcome._asdict().items()}
    return {"study": "storm", "mode": storm.name} | figures


def rows(found: Costs, tell: Callable[[Row], None] = lambda _row: None) -> list[Row]:
    """Return all of them."""
    made = []
    for row in (*(simulate(plan, found) for plan in PLANS), *(storm_row(storm, found) for storm in STORMS)):
        tell(row)
        made.append(row)
    return made


def main() -> None:
    """Run the study, print its rows, keep them if that is asked for."""
    parser = argparse.ArgumentParser(prog="bench.scale_study", description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep the rows in bench/scale.json")
    options = parser.parse_args()
    found = costs.load()
    made = rows(found, lambda row: print(row, flush=True))
    if options.record:
        costs.record(made)


if __name__ == "__main__":
    main()
