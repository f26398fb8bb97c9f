"""What partitions may use, and whether a request is within it: nodes count (`hsm_cluster.usage`), proxies decide.

Theory. A proxy lets signatures through as long as the sum that it has heard from all nodes is below the limit, and no
more of them than were left when it last heard something new. It hears from each node every second, so what it does not
know yet is what was done in the last second, through other proxies too: by so much a quota may be overrun, and no more,
because what was done too much is in the window as everything else. Keys that are generated are counted when they are
let through (`generation_rate`), so one proxy alone never overruns that.

Nothing here asks the store, so quotas hold without it.
"""

from collections.abc import Callable, Collection, Mapping
from math import ceil
from typing import Final, NamedTuple

from hsm_cluster.packages import GENERATION_BURST, Quota
from hsm_cluster.usage import Row, Usage
from hsm_wire.operations import SIGNATURES
from proxy.core.quota.generation_rate import GenerationRate

UNTIL_TOLD_MS: Final = 1_000
"""When what was left is used up, and nodes have not told yet by what: they do within this time."""
_ENDLESS: Final = 1 << 62


class Over(NamedTuple):
    """Why a request is not within its partition's quota."""

    quota: str
    """`signatures` or `generations`."""
    detail: str
    retry_after_ms: int


class Gate:
    """The quota of one partition at this proxy."""

    __slots__ = ("_free_at", "left", "limit", "quota", "rate")

    def __init__(self, quota: Quota, now: float) -> None:
        per_second = quota.key_generations_per_second
        self.quota = quota
        self.limit = quota.signatures_per_day
        """Signatures in 24 hours."""
        self.left = _ENDLESS if self.limit is None else self.limit
        """That may be let through until nodes tell more."""
        self._free_at = now
        self.rate = None if per_second is None else GenerationRate(per_second, GENERATION_BURST, _ms(now))

    def admit(self, opcode: int, now: float) -> Over | None:
        """Let a request of a counted operation through, or return why not."""
        if opcode in SIGNATURES:
            if self.left > 0:
                self.left -= 1
                return None
            return self._signatures(now)
        wait_ms = 0 if self.rate is None else self.rate.take(_ms(now))
        return None if not wait_ms else self._generations(wait_ms)

    def heard(self, signatures: int, free_at: float) -> None:
        """Take the sum of the window, and when there will be less in it."""
        if self.limit is not None:
            self.left = self.limit - signatures
            self._free_at = free_at

    def _signatures(self, now: float) -> Over:
        wait_ms = max(UNTIL_TOLD_MS, ceil((self._free_at - now) * 1000))
        detail = (
            f"the partition's {self.quota.signatures_per_minute} signatures a minute, as a mean over 24 hours, are "
            f"used up; there will be some in {_words(wait_ms)}"
        )
        return Over("signatures", detail, wait_ms)

    def _generations(self, wait_ms: int) -> Over:
        noun = "key generation" if self.quota.key_generations_per_second == 1 else "key generations"
        detail = (
            f"the partition has {self.quota.key_generations_per_second} {noun} a second, with a burst of "
            f"{GENERATION_BURST}; the next one in {_words(wait_ms)}"
        )
        return Over("generations", detail, wait_ms)


class Quotas:
    """The gates of this proxy, and what it has heard of everybody's use."""

    def __init__(self, wall: Callable[[], float]) -> None:
        """Limit nothing yet; `wall` returns seconds since 1970, which the nodes count by."""
        self._wall = wall
        self.usage = Usage("", wall())
        self.gates: dict[int, Gate] = {}
        """Partition -> its gate; those without a limit have none."""
        self.refused: dict[tuple[int, str], int] = {}
        """Requests answered OVER_QUOTA, by partition and quota."""
        self._stored: dict[str, dict[int, int]] = {}

    def configure(self, quotas: Mapping[int, Quota], now: float) -> None:
        """Take these quotas, by partition; a partition whose quota has not changed goes on as it is."""
        old = dict(self.gates)
        self.gates.clear()  # The dispatcher has this very mapping.
        for partition, quota in quotas.items():
            if quota.counted:
                gate = old.get(partition)
                self.gates[partition] = Gate(quota, now) if gate is None or gate.quota != quota else gate
        self._tell_all(now)

    def believe(self, nodes: Collection[str], partitions: Collection[int], since_s: float, now: float) -> None:
        """Hear of these nodes and partitions only, and of what was used since then (seconds since 1970)."""
        self.tick(now)
        self.usage.believe(nodes, partitions, since_s)
        self._tell_all(now)

    def admit(self, partition: int, opcode: int, now: float) -> Over | None:
        """Let a request of a counted operation through, or return why not."""
        gate = self.gates.get(partition)
        over = None if gate is None else gate.admit(opcode, now)
        if over is not None:
            self.refused[partition, over.quota] = self.refused.get((partition, over.quota), 0) + 1
        return over

    def settle(self, partition: int, now: float, *, made: bool) -> None:
        """Note the end of a key generation that was let through."""
        gate = self.gates.get(partition)
        if gate is not None and gate.rate is not None:
            gate.rate.settle(_ms(now), made=made)

    def hear(self, rows: list[Row], now: float, *, lately: bool = True) -> None:
        """Take what a node tells; `lately`: it is what happened since it told last, which is not long ago."""
        self.tick(now)
        for row in self.usage.merge(rows):
            gate = self.gates.get(row.partition)
            if gate is not None and gate.rate is not None and row.generations:
                gate.rate.told(row.generations, _ms(now), lately=lately)
        self._tell_all(now)  # Who asked in vain has used nothing, so what is left grows without any news, too.

    def tick(self, now: float) -> None:
        """Let go of what is a day old."""
        if self.usage.advance(self._wall()):
            self._tell_all(now)

    def hear_stored(self, node: str, keys: Mapping[int, int]) -> None:
        """Take how many keys of each partition a node holds."""
        self._stored[node] = dict(keys)

    def forget(self, nodes: set[str]) -> None:
        """Keep what is stored at these nodes only: others were taken out of the configuration."""
        self._stored = {name: keys for name, keys in self._stored.items() if name in nodes}

    def stored(self, partition: int) -> int:
        """Return how many keys of a partition there are: the node that has most has heard of most."""
        return max((keys.get(partition, 0) for keys in self._stored.values()), default=0)

    def _tell_all(self, now: float) -> None:
        usage, wall_s = self.usage, self._wall()
        for partition, gate in self.gates.items():
            if gate.limit is not None:
                gate.heard(usage.signatures(partition), now + usage.relief_s(partition, gate.limit, wall_s))


def _ms(now: float) -> int:
    return int(now * 1000)


def _words(wait_ms: int) -> str:
    """Return a time for people."""
    seconds = ceil(wait_ms / 1000)
    if seconds < 120:
        return f"{seconds} s"
    minutes = ceil(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{ceil(minutes / 60)} h"
