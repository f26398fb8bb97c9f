"""Virtual time: a heap of events, one source of chance, and ways that carry bytes.

Nothing here asks the system for time or chance, so a seed gives the same run, byte for byte. Events of the same
time run in the order in which they were made.
"""

import heapq
import random
from collections.abc import Callable
from math import inf
from typing import Any


class ViolationError(AssertionError):
    """An invariant does not hold."""


class Engine:
    """The heap, the clock, the chance and the log of one run."""

    __slots__ = ("_heap", "_next", "cut_share", "dirty", "log", "now", "rng")

    def __init__(self, seed: int, *, keep_log: bool = False) -> None:
        self.rng = random.Random(seed)
        self.now = 0.0
        self.log: list[str] | None = [] if keep_log else None
        self.dirty: list[Pipe] = []
        """Pipes that were written to in this event."""
        self.cut_share = 0.0
        """Share of the writes that arrive in two pieces."""
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._next = 0

    def at(self, when: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call that at `when`."""
        self._next += 1
        heapq.heappush(self._heap, (when, self._next, call, arguments))

    def after(self, delay: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call that after a while."""
        self._next += 1
        heapq.heappush(self._heap, (self.now + delay, self._next, call, arguments))

    def note(self, text: str) -> None:
        """Write a line into the log; ask `log` first where the text costs something."""
        if self.log is not None:
            self.log.append(f"{self.now:.6f} {text}")

    def run(self, until: float) -> None:
        """Let the time pass. What an event wrote leaves at its end, as with a loop that flushes once a turn."""
        heap = self._heap
        dirty = self.dirty
        while heap and heap[0][0] <= until:
            self.now, _, call, arguments = heapq.heappop(heap)
            call(*arguments)
            if dirty:
                for pipe in dirty:
                    pipe.flush()
                dirty.clear()
        self.now = max(self.now, until)


class Way:
    """One direction of a path: how long bytes take, and whether any arrive."""

    __slots__ = ("_held", "cut", "cut_since", "engine", "extra_s", "jitter_s", "latency_s")

    def __init__(self, engine: Engine, latency_s: float, jitter_s: float) -> None:
        self.engine = engine
        self.latency_s = latency_s
        self.jitter_s = jitter_s
        self.extra_s = 0.0
        self.cut = 0
        """How many faults drop the packets of this way; the system sends them again until it can."""
        self.cut_since = inf
        self._held: dict[Pipe, None] = {}

    def delay(self) -> float:
        """Draw the time of one write."""
        return self.latency_s + self.extra_s + self.jitter_s * self.engine.rng.random()

    def hold(self, pipe: "Pipe") -> None:
        """Keep what a pipe has until the way is mended."""
        self._held[pipe] = None

    def sever(self) -> None:
        """Begin a fault that drops the packets of this way."""
        self.cut += 1
        self.cut_since = min(self.cut_since, self.engine.now)

    def mend(self) -> None:
        """End one of the faults; what was sent meanwhile arrives with the next retransmission."""
        self.cut -= 1
        if self.cut == 0:
            self.cut_since = inf
            held, self._held = self._held, {}
            for pipe in held:
                pipe.release()


class Pipe:
    """One direction of one connection: bytes in order, then perhaps its end (None)."""

    __slots__ = ("_buffer", "_deliver", "_engine", "_held", "_last", "_way", "open")

    def __init__(self, way: Way, deliver: Callable[[bytes | None], None]) -> None:
        self.open = True
        """Somebody reads it."""
        self._engine = way.engine
        self._way = way
        self._deliver = deliver
        self._buffer: list[bytes] = []
        self._held: list[bytes | None] = []
        self._last = 0.0

    def write(self, raw: bytes) -> None:
        """Take bytes; they leave at the end of this event."""
        if self.open:
            if not self._buffer:
                self._engine.dirty.append(self)
            self._buffer.append(raw)

    def end(self) -> None:
        """Close or reset: the other end learns of it after the bytes."""
        if self.open:
            self.flush()
            self._send(None, self._arrival())

    def flush(self) -> None:
        """Let what was written leave."""
        if not self._buffer:
            return
        data = self._buffer[0] if len(self._buffer) == 1 else b"".join(self._buffer)
        self._buffer.clear()
        when = self._arrival()
        engine = self._engine
        if engine.cut_share and engine.rng.random() < engine.cut_share:
            cut = engine.rng.randrange(len(data) + 1)
            self._send(data[:cut], when)
            data = data[cut:]
        self._send(data, when)

    def release(self) -> None:
        """Deliver what was held, with the next retransmission."""
        self._last = max(self._last, self._engine.now + 0.2 * self._engine.rng.random())
        self._engine.at(self._last, self._replay)

    def _replay(self) -> None:
        """Deliver it now; what is on the way still comes after it."""
        if self._way.cut:
            self._way.hold(self)
            return
        held, self._held = self._held, []
        for data in held:
            if self.open and (data is None or data):
                self._deliver(data)

    def _arrival(self) -> float:
        self._last = max(self._last, self._engine.now + self._way.delay())
        return self._last

    def _send(self, data: bytes | None, when: float) -> None:
        self._engine.at(when, self._arrive, data)

    def _arrive(self, data: bytes | None) -> None:
        if not self.open:
            return
        if self._way.cut or self._held:
            self._held.append(data)
            if self._way.cut:
                self._way.hold(self)
        elif data is None or data:
            self._deliver(data)
