"""Clients that come back all at once: how long it takes until the last one has its connections again.

The pace of accepting is the proxy's own (`hsm_daemon.pace`), the waits and the limits of clients are those of their
library. What is made up is the kernel's part: a backlog of fixed length, and knocks that are sent again.
"""

import random
from collections import deque
from typing import Final, NamedTuple

from bench.agenda import BEGIN_S, Agenda, Station
from hsm_client import retry
from hsm_client.pool import FIRST_OPEN_TIMEOUT_S, OPEN_TIMEOUT_S
from hsm_daemon.accepting import GONE_FOR_A_TOKEN
from proxy.core.settings import Limits
from proxy.net.listener import BACKLOG, pace_of

ROUND_TRIP_S: Final = 0.001
KNOCKS_AGAIN_S: Final = (1.0, 3.0)
"""After the first SYN that found no room: when the kernel of a client sends it again, as far as a client waits."""
NEVER_S: Final = 600.0
"""Of the storm; who is not back by then is counted as never back."""


class Storm(NamedTuple):
    """What happens, to whom."""

    name: str
    clients: int
    proxies: int
    connections: int = 2
    """Of each client."""
    lost: int = 1
    """Proxies that end at the same moment."""
    down_s: float = float("inf")
    """How long they are away."""
    busy: float = 0.0
    """Part of the time of a proxy's loop that requests take."""
    limits: Limits = Limits()


class Outcome(NamedTuple):
    """How it ended."""

    lost: int
    """Connections that were lost."""
    half_s: float
    all_s: float
    """Seconds until half of the connections were there again, and all that can be."""
    never: int
    gone: int
    """Connections that were given up before they were accepted."""
    in_vain: int
    """Handshakes with clients that went on meanwhile."""
    loop_share: float
    """Most that handshakes took of the time of one proxy's loop meanwhile."""


class Door:
    """Where a proxy accepts."""

    def __init__(self, agenda: Agenda, storm: Storm, handshake_s: float) -> None:
        limits = storm.limits
        self.up = True
        self.gone = 0
        """Clients that had gone on before they were accepted."""
        self.in_vain = 0
        """Handshakes with clients that went on meanwhile."""
        self.loop = Station()
        self._agenda = agenda
        self._handshake_s = handshake_s / (1.0 - storm.busy)
        self._waiting: deque[tuple[Slot, int]] = deque()
        self._pausing = False
        self._tokens = pace_of(limits).tokens()

    def knock(self, slot: "Slot", attempt: int, again: int = 0) -> None:
        """Take a connection of a client, if there is room where it waits."""
        if slot.attempt != attempt:
            return
        if not self.up:
            self._agenda.after(ROUND_TRIP_S, slot.failed, attempt)
        elif len(self._waiting) >= BACKLOG:
            if again < len(KNOCKS_AGAIN_S):
                before = KNOCKS_AGAIN_S[again - 1] if again else 0.0
                self._agenda.after(KNOCKS_AGAIN_S[again] - before, self.knock, slot, attempt, again + 1)
        else:
            self._waiting.append((slot, attempt))
            if not self._pausing:
                self._accept()

    def _accept(self) -> None:
        now = self._agenda.now
        self._pausing = False
        while self._waiting:
            if not self._tokens.has_token(now):
                self._pausing = True
                self._agenda.after(self._tokens.wait_s(now) + 1e-9, self._accept)
                return
            slot, attempt = self._waiting.popleft()
            if slot.attempt != attempt:
                self.gone += 1
                self.loop.done_at(now, self._handshake_s / GONE_FOR_A_TOKEN)
                if self.gone % GONE_FOR_A_TOKEN == 0:
                    self._tokens.take(now)
                continue
            self._tokens.take(now)
            done = self.loop.done_at(now, self._handshake_s)
            self._agenda.at(done, self._greet, slot, attempt)

    def _greet(self, slot: "Slot", attempt: int) -> None:
        self.in_vain += slot.attempt != attempt
        self._agenda.after(ROUND_TRIP_S, slot.opened, attempt)


class Slot:
    """One connection of a client, as `hsm_client.pool` keeps it open."""

    def __init__(self, world: "World", others: "list[Slot]", position: int) -> None:
        self.position = position
        self.attempt = 0
        self.is_open = True
        self._world = world
        self._others = others
        self._failures = 0

    @property
    def proxy(self) -> int:
        """The number of its proxy."""
        return self.position % len(self._world.doors)

    def lose(self) -> None:
        """Begin to open another one."""
        self.is_open = False
        self._go_on()
        alone = len(self._world.doors) == 1
        self._world.agenda.after(self._world.rng.uniform(0.0, retry.RECONNECT_SAME_S) if alone else 0.0, self._open)

    def opened(self, attempt: int) -> None:
        """Note that the proxy has greeted; too late counts for nothing."""
        if attempt == self.attempt and not self.is_open:
            self.attempt += 1
            self.is_open = True
            self._world.back.append(self._world.agenda.now - BEGIN_S)

    def failed(self, attempt: int) -> None:
        """Note that this attempt was refused, or has taken too long."""
        if attempt != self.attempt or self.is_open:
            return
        self.attempt += 1
        self._failures += 1
        rounds = self._failures // len(self._world.doors)
        wait_s = retry.wait_s(rounds, retry.RECONNECT_BASE_S, retry.RECONNECT_CAP_S, self._world.rng) if rounds else 0.0
        self._go_on()
        self._world.agenda.after(wait_s, self._open)

    def _open(self) -> None:
        world = self._world
        untried = self._failures < len(world.doors) - 1
        world.doors[self.proxy].knock(self, self.attempt)
        world.agenda.after(FIRST_OPEN_TIMEOUT_S if untried else OPEN_TIMEOUT_S, self.failed, self.attempt)

    def _go_on(self) -> None:
        """Choose the next proxy that no other connection of this client uses, else the next one."""
        used = {other.proxy for other in self._others if other.is_open}
        count = len(self._world.doors)
        steps = (step for step in range(1, count + 1) if (self.position + step) % count not in used)
        self.position += next(steps, 1)


class World:
    """All of them."""

    def __init__(self, storm: Storm, handshake_s: float, seed: int) -> None:
        self.agenda = Agenda()
        self.rng = random.Random(seed)
        self.doors = [Door(self.agenda, storm, handshake_s) for _ in range(storm.proxies)]
        self.back: list[float] = []
        """Seconds after which connections were there again."""
        self._storm = storm

    def run(self) -> Outcome:
        """Let it happen."""
        storm, agenda = self._storm, self.agenda
        slots: list[Slot] = []
        for _ in range(storm.clients):
            first, own = self.rng.randrange(storm.proxies), list[Slot]()
            own += (Slot(self, own, first + number) for number in range(storm.connections))
            slots += own
        for door in self.doors[: storm.lost]:
            door.up = False
            if storm.down_s < NEVER_S:
                agenda.after(storm.down_s, setattr, door, "up", True)
        losing = [slot for slot in slots if slot.proxy < storm.lost]
        for slot in losing:
            slot.lose()
        until = BEGIN_S
        while len(self.back) < len(losing) and until < BEGIN_S + NEVER_S:
            until += 1.0
            agenda.run(until)
        return self._outcome(len(losing), until - BEGIN_S)

    def _outcome(self, lost: int, took_s: float) -> Outcome:
        back = sorted(self.back)
        share = max(door.loop.busy_s for door in self.doors) / max(back[-1] if back else took_s, 0.001)
        gone, in_vain = (sum(getattr(door, name) for door in self.doors) for name in ("gone", "in_vain"))
        half_s = back[lost // 2] if len(back) > lost // 2 else NEVER_S
        return Outcome(lost, half_s, back[-1] if back else 0.0, lost - len(back), gone, in_vain, min(1.0, share))


def run(storm: Storm, handshake_s: float, seed: int = 1) -> Outcome:
    """Return how a storm ends; the same seed gives the same."""
    return World(storm, handshake_s, seed).run()
