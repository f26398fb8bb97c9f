"""The faults of a run, drawn from its seed: what, whom, when, how long.

Each fault is a generator of steps `(delay, call)`: it begins, and mends what it broke. All of them end by the time
at which the clients stop, so that the end of a run shows whether everything comes back.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sim_node import SimNode

if TYPE_CHECKING:
    from sim_client import SimClient
    from sim_engine import Engine
    from sim_proxy import SimProxy

Mend = Callable[[], None]


class Faults:
    """Breaks nodes, ways, clients and the proxy's clock."""

    def __init__(
        self, engine: "Engine", proxy: "SimProxy", nodes: list[SimNode], clients: "list[SimClient]", end_s: float
    ) -> None:
        self.engine = engine
        self.proxy = proxy
        self.nodes = nodes
        self.clients = clients
        self.end_s = end_s
        self._mends: list[Mend] = []

    def draw(self, flavour: str) -> None:
        """Plan the faults of a run."""
        rng = self.engine.rng
        if flavour == "calm":
            return
        if flavour == "poison":
            self.engine.at(1.0 + rng.random(), self.poison)
            return
        victims = self.nodes[:1] if flavour == "single" else self.nodes
        for _ in range(rng.randint(1, 3 if flavour == "single" else 6)):
            kind = rng.choice(ON_NODES if flavour == "single" or rng.random() < 0.75 else ELSEWHERE)
            victim = rng.choice(victims)
            start = 0.5 + rng.random() * (self.end_s - 1.0)
            lasts = rng.choice((0.05, 0.2, 0.6, 1.2, 2.5, 5.0)) * (0.5 + rng.random())
            self.engine.at(start, self._begin, kind, victim, min(lasts, self.end_s - start))

    def mend_all(self) -> None:
        """End every fault that did not end by itself."""
        for mend in list(self._mends):
            mend()

    def _begin(self, kind: str, node: SimNode, lasts: float) -> None:
        self.engine.note(f"fault {kind} on {node.name} for {lasts:.3f} s")
        mend = getattr(self, kind)(node)
        if mend is None:
            return
        done: list[bool] = []

        def once() -> None:
            if not done:
                done.append(True)
                self._mends.remove(once)
                self.engine.note(f"fault {kind} on {node.name} ends")
                mend()

        self._mends.append(once)
        self.engine.after(lasts, once)

    # ---- on nodes -------------------------------------------------------------------------------------------------

    def crash(self, node: SimNode) -> Mend:
        """Kill -9, and a restart."""
        node.crash()
        return node.restart

    def hang(self, node: SimNode) -> Mend:
        """SIGSTOP and SIGCONT."""
        node.hang()
        return node.go_on

    def black_hole(self, node: SimNode) -> Mend:
        """No packet passes, over no path."""
        return self._cut([way for path in node.paths for way in (path.to_node, path.to_proxy)])

    def one_path(self, node: SimNode) -> Mend:
        """No packet passes over one path."""
        path = self.engine.rng.choice(node.paths)
        return self._cut([path.to_node, path.to_proxy])

    def one_direction(self, node: SimNode) -> Mend:
        """Packets pass in one direction only."""
        inbound = self.engine.rng.random() < 0.5
        return self._cut([path.to_node if inbound else path.to_proxy for path in node.paths])

    def slow(self, node: SimNode) -> Mend:
        """Everything takes ten times as long."""
        node.slow = 10.0
        return self._setting(node, "slow", 1.0)

    def latency(self, node: SimNode) -> Mend:
        """The way takes longer."""
        extra_s = self.engine.rng.choice((0.02, 0.1, 0.3))
        ways = [way for path in node.paths for way in (path.to_node, path.to_proxy)]
        for way in ways:
            way.extra_s = extra_s

        def mend() -> None:
            for way in ways:
                way.extra_s = 0.0

        return mend

    def mute(self, node: SimNode) -> Mend:
        """Accepts, reads, answers nothing."""
        node.mute += 1

        def mend() -> None:
            node.mute -= 1
            node.crash()  # what it swallowed is lost; such a node is mended by a restart
            node.restart()

        return mend

    def block(self, node: SimNode) -> Mend:
        """Answers PING, finishes nothing."""
        node.block()
        return node.unblock

    def device_errors(self, node: SimNode) -> Mend:
        """Every k-th answer is DEVICE_ERROR."""
        node.device_error_every = self.engine.rng.choice((1, 3, 10))
        return self._setting(node, "device_error_every", 0)

    def wrong_signature(self, node: SimNode) -> Mend:
        """Its deep check does not verify."""
        node.wrong_signature = True
        return self._setting(node, "wrong_signature", False)

    def stale(self, node: SimNode) -> Mend:
        """No contact to the store: some keys are unknown there."""
        node.stale += 1
        node.not_current_share = 0.3

        def mend() -> None:
            node.stale -= 1
            node.not_current_share = 0.0

        return mend

    def go_away(self, node: SimNode) -> Mend:
        """SIGTERM, and a new start."""
        node.go_away()

        def mend() -> None:
            node.crash()
            node.restart()

        return mend

    def administer(self, node: SimNode) -> Mend:
        """Drain or maintain."""
        node.administrative = self.engine.rng.choice(("drain", "maintain"))
        return self._setting(node, "administrative", "ready")

    def echo(self, node: SimNode) -> Mend:
        """Answers twice, and to ids that nobody asked with."""
        node.echo_share = 0.3
        return self._setting(node, "echo_share", 0.0)

    def swallow(self, node: SimNode) -> Mend:
        """Loses some requests for ever, while the others are answered."""
        node.swallow_share = 0.05
        return self._setting(node, "swallow_share", 0.0)

    def small_window(self, node: SimNode) -> Mend:
        """Advertises a window of 0 or 1."""
        node.window_override = self.engine.rng.choice((0, 1))
        return self._setting(node, "window_override", None)

    def flap(self, node: SimNode) -> Mend:
        """Comes and goes at the period of the checks."""
        period = self.engine.rng.choice((0.25, 0.5, 1.0))
        stopped: list[bool] = []

        def turn(up: bool) -> None:
            if stopped:
                return
            if up:
                node.restart()
            else:
                node.crash()
            self.engine.after(period / 2, turn, not up)

        turn(False)

        def mend() -> None:
            stopped.append(True)
            node.restart()

        return mend

    # ---- elsewhere ------------------------------------------------------------------------------------------------

    def all_dead(self, node: SimNode) -> Mend:
        """No node lives."""
        del node
        for each in self.nodes:
            each.crash()

        def mend() -> None:
            for each in self.nodes:
                each.restart()

        return mend

    def proxy_stall(self, node: SimNode) -> None:
        """The proxy itself stands still."""
        del node
        self.proxy.stall(self.engine.rng.choice((0.1, 0.3, 1.0, 2.0)))

    def clock_jump(self, node: SimNode) -> None:
        """The proxy's clock leaps ahead."""
        del node
        self.proxy.jump(self.engine.rng.choice((0.3, 1.0, 5.0)))

    def dropped_clients(self, node: SimNode) -> None:
        """Clients go away with requests in flight."""
        del node
        for client in self.clients:
            if self.engine.rng.random() < 0.5:
                client.drop()

    def poison(self, node: SimNode | None = None) -> None:
        """A request that kills whoever executes it."""
        del node
        self.engine.rng.choice(self.clients).ask_poison()
        self._watch_crashes()

    def _watch_crashes(self) -> None:
        """Restart, a while later, what poison killed."""

        def look() -> None:
            for each in self.nodes:
                if not each.alive and not self._mends:
                    self.engine.after(0.3 + self.engine.rng.random(), each.restart)
            if self.engine.now < self.end_s + 20.0:  # it may wait for a node until its deadline
                self.engine.after(0.2, look)

        look()

    def _setting(self, node: SimNode, name: str, value: object) -> Mend:
        return lambda: setattr(node, name, value)

    @staticmethod
    def _cut(ways: list) -> Mend:
        for way in ways:
            way.sever()

        def mend() -> None:
            for way in ways:
                way.mend()

        return mend


ON_NODES = (
    "crash", "hang", "black_hole", "one_path", "one_direction", "slow", "latency", "mute", "block", "device_errors",
    "wrong_signature", "stale", "go_away", "administer", "echo", "small_window", "flap",
    "swallow",
)  # fmt: skip
ELSEWHERE = ("all_dead", "proxy_stall", "clock_jump", "dropped_clients", "poison")
