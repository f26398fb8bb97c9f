"""One run: a world drawn from a seed, its faults, its clients, and what must be true at its end."""

from typing import Final

import msgspec
from sim_checks import Checks
from sim_client import SimClient
from sim_engine import Engine, ViolationError
from sim_faults import Faults
from sim_node import SimNode, SimPath
from sim_proxy import SimProxy

from proxy.core.nodes.node_table import Node, PathEntry
from proxy.core.parties import Probe
from proxy.core.settings import HealthSettings, Limits, RetrySettings, Settings

OWED_S: Final = 31.0
"""After this long without a request nothing may be owed any more (`limits.owed_answer_s`, and a second)."""
RETURN_S: Final = 9.0
"""Without a sanction a node is back in rotation this long after its mending: the down interval with its jitter and a
time-out of a connect that began before, the fast interval twice; and that is what is allowed for."""
LAST_ANSWER_S: Final = 12.5
"""The longest deadline, the longest stall of the proxy, which may begin last of all and reads what came meanwhile only
then, and half a second."""
_QUIET_BEAT_S: Final = 0.2
"""Of the ticker while nothing is asked: below the proxy's stall limit, and eight times as fast to simulate."""


class Outcome(msgspec.Struct, frozen=True):
    """What a run did."""

    seed: int
    flavour: str
    requests: int
    statuses: dict[int, int]
    log: list[str]


class Simulation:
    """The world of one seed."""

    def __init__(self, seed: int, *, keep_log: bool = False) -> None:
        self.seed = seed
        engine = self.engine = Engine(seed, keep_log=keep_log)
        rng = engine.rng
        self.flavour = rng.choices(("mixed", "single", "poison", "calm"), (60, 28, 8, 4))[0]
        engine.cut_share = rng.choice((0.0, 0.0, 0.05, 0.5))
        self.settings = self._settings()
        self.checks = Checks(engine)
        self.checks.every_event = seed % 25 == 0
        self.checks.single = self.flavour in ("single", "calm")
        self.checks.strict_poison = self.flavour in ("single", "calm", "poison")
        self.nodes = self._nodes()
        table_nodes, ways = self._table()
        self.proxy = SimProxy(engine, self.checks, self.settings, table_nodes, ways)
        self.checks.begin(self.proxy, dict(zip(table_nodes, self.nodes, strict=True)))
        self.end_s = rng.choice((3.0, 5.0, 8.0))
        self.clients = self._clients()
        self.faults = Faults(engine, self.proxy, self.nodes, self.clients, self.end_s)

    def run(self) -> Outcome:
        """Run it.

        Raises:
            ViolationError: an invariant does not hold.
        """
        engine = self.engine
        self.proxy.beat()
        for client in self.clients:
            engine.at(0.2 * engine.rng.random(), client.open)
        self.faults.draw(self.flavour)
        engine.run(self.end_s)
        self.faults.mend_all()
        for node in self.nodes:
            node.restart()
        for client in self.clients:
            client.stop()
        engine.run(self.end_s + RETURN_S)
        self._returned(sanctioned=False)
        engine.run(self.end_s + LAST_ANSWER_S)
        self._all_answered()
        self.proxy.beat_s = _QUIET_BEAT_S
        engine.run(self.end_s + LAST_ANSWER_S + OWED_S)
        self._nothing_kept()
        self._returned(sanctioned=True)
        log = engine.log or []
        return Outcome(self.seed, self.flavour, self.checks.requests, self.checks.statuses, log)

    # ---- drawing --------------------------------------------------------------------------------------------------

    def _settings(self) -> Settings:
        rng = self.engine.rng
        if self.flavour != "mixed":
            return Settings()
        burst = rng.choice((1024, 1024, 20, 3))
        poor = {"budget_share": 0.0, "budget_per_s": 2.0} if burst < 10 else {}
        return Settings(
            Limits(queue_requests=rng.choice((8192, 8192, 10, 40))),
            RetrySettings(attempts=rng.choice((3, 3, 2, 1)), budget_burst=burst, **poor),
            HealthSettings(slow_start_s=rng.choice((10.0, 0.0)), deep_interval_s=rng.choice((10.0, 2.0, 0.0))),
        )

    def _nodes(self) -> list[SimNode]:
        rng = self.engine.rng
        fewest = {"mixed": 1, "calm": 1, "single": 2, "poison": 3}[self.flavour]
        nodes = []
        for number in range(rng.randint(fewest, 4)):
            service_s = rng.choice((0.0005, 0.002, 0.008))
            node = SimNode(self.engine, self.checks, f"n{number}", rng.choice((1, 2, 4, 8)), service_s)
            latency_s = rng.choice((0.0001, 0.001, 0.01))
            for _ in range(rng.randint(1, 2)):
                node.paths.append(SimPath(node, latency_s, latency_s * rng.random()))
            nodes.append(node)
        return nodes

    def _table(self) -> tuple[list[Node], dict[PathEntry, SimPath]]:
        rng = self.engine.rng
        ways: dict[PathEntry, SimPath] = {}
        nodes = []
        for number, sim in enumerate(self.nodes):
            paths = [(f"isp-{index}", f"{sim.name}-{index}:1") for index in range(len(sim.paths))]
            node = Node(sim.name, f"site-{number % 2}", rng.choice((1, 1, 1, 2)), paths)
            ways.update(zip(node.paths, sim.paths, strict=True))
            nodes.append(node)
        return nodes, ways

    def _clients(self) -> list[SimClient]:
        rng = self.engine.rng
        clients = []
        for number in range(rng.randint(2, 6)):
            in_flight = rng.choice((1, 1, 4, 16) if self.flavour != "mixed" else (1, 2, 8, 24))
            client = SimClient(self.engine, self.proxy, f"c{number}", 1 + number % 3, in_flight)
            client.pause_s = in_flight * rng.choice((0.012, 0.03))
            client.patient = self.flavour in ("single", "calm") and number % 2 == 0
            clients.append(client)
        return clients

    # ---- at the end -----------------------------------------------------------------------------------------------

    def _returned(self, *, sanctioned: bool) -> None:
        table = self.proxy.table
        for node in table.nodes:
            if node in table.rotation or (node.sanction and not sanctioned):
                continue
            if self.engine.now < self.checks.nodes[node].booted_at + RETURN_S:
                continue  # a poison request took it after the end of the faults
            until = self.proxy.supervisor._watches[node]._sanction.until
            if node.sanction and self.proxy.now < until + RETURN_S:
                continue
            self.checks.violated(f"{node.name} did not come back: {node.operational}, {node.reason}")

    def _all_answered(self) -> None:
        for client in self.clients:
            for record in client.waiting.values():
                self.checks.violated(f"request {record.token.hex()} of {client.name} was never answered")

    def _nothing_kept(self) -> None:
        proxy = self.proxy
        dispatcher = proxy.dispatcher
        self.checks.full(proxy.now)
        kept = {
            "queue": dispatcher.queue.size + dispatcher.queue.bytes + len(dispatcher.queue._halls),
            "failover.waiting": len(dispatcher.failover.waiting),
            "generations": sum(map(abs, dispatcher._switch.generations.values())),
            "wheel": sum(map(len, dispatcher._switch.wheel._slots.values())),
            "slots": len(dispatcher._switch.wheel._slots),
            "clients": sum(len(end.client.in_flight) + len(end.client.wire_ids) for end in proxy.clients if end.client),
            "links": sum(
                not isinstance(entry, Probe) for link in proxy.table.links for entry in link.in_flight.values()
            ),
            "suspects": sum(node.suspects for node in proxy.table.nodes),
        }
        if any(kept.values()):
            self.checks.violated(f"kept at the end: { {name: count for name, count in kept.items() if count} }")


def simulate(seed: int, *, keep_log: bool = False) -> Outcome:
    """Run one seed.

    Raises:
        ViolationError: with the command that replays it.
    """
    simulation = Simulation(seed, keep_log=keep_log)
    try:
        return simulation.run()
    except Exception as error:
        replay = f".venv/bin/python tests/simulation/run_simulation.py --seeds {seed} --log"
        kind = "" if isinstance(error, ViolationError) else f"{type(error).__name__} in the core: "
        raise ViolationError(f"seed {seed} ({simulation.flavour}): {kind}{error}; replay: {replay}") from error
