"""One direction of one connection through a relay: reads, harms, writes.

Theory. A black hole does not throw bytes away: TCP would send lost packets again, so what was held arrives late
once the hole is healed. Reading stops as well, so the sender's window fills as it does with a dead peer. A delay
is a pipeline: reading goes on while what was read waits for its time.
"""

import asyncio
import random
import socket
from collections import deque

DIRECTIONS = ("out", "in")
READ_BYTES = 65_536
MAX_HELD_BYTES = 4 << 20  # read and not yet due: then reading waits


class Harm:
    """What is done to one direction, of all connections; may change at any time."""

    def __init__(self) -> None:
        self.passing = asyncio.Event()
        self.passed = 0
        self.corrupted = 0
        self.heal()

    def heal(self) -> None:
        """Do no harm."""
        self.delay_s = 0.0
        self.jitter_s = 0.0
        self.piece_bytes = 0
        self.gap_s = 0.0
        self.bytes_per_s = 0
        self.corrupt_after = 0
        self.corruptions = 0
        self.passing.set()

    def hold(self) -> None:
        """Let nothing through."""
        self.passing.clear()


class Pump:
    """Carries bytes from one socket to the other until the end of the stream, and hands that on too."""

    def __init__(self, harm: Harm, source: socket.socket, sink: socket.socket, seed: str) -> None:
        self._harm = harm
        self._source = source
        self._sink = sink
        self._random = random.Random(seed)
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._last_due = 0.0
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Carry; ends when the source has ended and everything is written."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._read())
            both.create_task(self._write())

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        data = b"-"
        while data:
            await self._harm.passing.wait()
            while self._held > MAX_HELD_BYTES:
                await self._next_change()
            data = await loop.sock_recv(self._source, READ_BYTES)
            self._enqueue(loop.time(), data)

    def _enqueue(self, now: float, data: bytes) -> None:
        harm = self._harm
        wait = harm.delay_s + self._random.uniform(-1, 1) * harm.jitter_s if harm.delay_s or harm.jitter_s else 0.0
        self._last_due = max(self._last_due, now + max(0.0, wait))
        self._waiting.append((self._last_due, self._maybe_corrupted(data)))
        self._held += len(data)
        self._changed.set()

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._waiting:
                await self._next_change()
            due, data = self._waiting[0]
            await asyncio.sleep(due - loop.time())
            await self._harm.passing.wait()
            if not data:
                self._sink.shutdown(socket.SHUT_WR)
                return
            await self._deliver(data)
            self._waiting.popleft()
            self._held -= len(data)
            self._changed.set()

    async def _deliver(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        while data:
            harm = self._harm
            size = harm.piece_bytes or len(data)
            if harm.bytes_per_s:  # A tenth of a second's worth at a time: neither bursts nor a byte each.
                size = min(size, max(1, harm.bytes_per_s // 10))
            piece, data = data[:size], data[size:]
            await harm.passing.wait()
            await loop.sock_sendall(self._sink, piece)
            harm.passed += len(piece)
            pause = len(piece) / harm.bytes_per_s if harm.bytes_per_s else 0.0
            if data or pause:
                await asyncio.sleep(max(pause, harm.gap_s if data else 0.0))

    def _maybe_corrupted(self, data: bytes) -> bytes:
        harm = self._harm
        spoilt = bytearray(data)
        position = 0
        while harm.corruptions and len(data) - position > harm.corrupt_after:
            position += harm.corrupt_after
            spoilt[position] ^= 1 << self._random.randrange(8)
            harm.corrupted += 1
            harm.corruptions -= 1
            position += 1
        if harm.corruptions:
            harm.corrupt_after -= len(data) - position
        return bytes(spoilt)

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
