"""A TCP relay that harms what passes: the class `Relay`, and a program (`python relay.py --target HOST:PORT`).

Commands of the control port, and methods of the class: `heal` (pass everything again), `cut`, `fin`, `black_hole`,
`delay`, `split`, `throttle`, `drop`, `corrupt`, `listen`, `seen`, `quit`. A direction is `out` (to the target), `in`
(from it) or `both`.
"""

import argparse
import asyncio
import socket
import sys
from typing import Any

from fault_control import ControlServer, end_with_parent, parse_address, run_until_told
from fault_listener import FaultListener, reset
from relay_pump import DIRECTIONS, Harm, Pump

CONNECT_TIMEOUT_S = 10.0


class _Pair:
    """One connection through the relay."""

    def __init__(self, near: socket.socket, far: socket.socket | None = None) -> None:
        self.near = near
        self.far = far
        self.pumps: dict[str, Pump] = {}
        self.task: asyncio.Task[None] | None = None
        self.with_reset = True

    def close(self) -> None:
        for end in (self.near, self.far):
            if end is not None and end.fileno() >= 0:
                if self.with_reset:
                    reset(end)
                end.close()


class Relay:
    """Forwards between its own address and a target; deterministic, given the seed and what passes."""

    def __init__(self, target: str, *, host: str = "127.0.0.1", port: int = 0, seed: int = 0) -> None:
        self.target = parse_address(target)
        self.harms = {direction: Harm() for direction in DIRECTIONS}
        self.connected = 0
        self._seed = seed
        self._host, self._port = host, port
        self._listener: FaultListener | None = None
        self._hangs_new = False
        self._pairs: dict[int, _Pair] = {}

    @property
    def address(self) -> str:
        """HOST:PORT that it listens on."""
        assert self._listener is not None, "the relay is not started"
        return self._listener.address

    async def start(self) -> "Relay":
        """Listen on the running loop."""
        self._listener = FaultListener(self._host, self._port, self._accept)
        self._port = self._listener.port
        self._listener.switch("open")
        return self

    async def stop(self) -> None:
        """Cut everything and give up the port."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        tasks = [pair.task for pair in self._pairs.values() if pair.task is not None]
        self.cut()
        await asyncio.gather(*tasks, return_exceptions=True)

    def heal(self) -> None:
        """Pass everything; what a black hole held goes on its way, as after lost packets."""
        for harm in self.harms.values():
            harm.heal()
        self._hangs_new = False
        self.listen("open")
        for number, pair in list(self._pairs.items()):
            if pair.far is None and pair.task is None:
                self._begin(number, pair)

    def cut(self) -> None:
        """Reset both sides of every connection; new ones pass."""
        for number in list(self._pairs):
            self._end(number, with_reset=True)

    def fin(self) -> None:
        """Close both sides of every connection in order, at once; new ones pass."""
        for number in list(self._pairs):
            self._end(number, with_reset=False)

    def black_hole(self, new: str = "hang") -> None:
        """Keep connections open, read and forward nothing. New connections:

        `hang` (accepted, then silence), `black-hole` (the connect hangs), `unaccepted` or `refuse`.
        """
        for harm in self.harms.values():
            harm.hold()
        self._hangs_new = new == "hang"
        if not self._hangs_new:
            self.listen(new)

    def drop(self, direction: str) -> None:
        """Let nothing through in one direction, silently; `heal` delivers it late."""
        for harm in self._of(direction):
            harm.hold()

    def delay(self, ms: float, jitter_ms: float = 0.0, direction: str = "both") -> None:
        """Deliver later, in order."""
        for harm in self._of(direction):
            harm.delay_s, harm.jitter_s = ms / 1000, jitter_ms / 1000

    def split(self, size: int, gap_ms: float = 1.0, direction: str = "both") -> None:
        """Write in pieces of that many bytes, with a gap between them."""
        for harm in self._of(direction):
            harm.piece_bytes, harm.gap_s = size, gap_ms / 1000

    def throttle(self, bytes_per_s: int, direction: str = "both") -> None:
        """Pass at most so much."""
        for harm in self._of(direction):
            harm.bytes_per_s = bytes_per_s

    def corrupt(self, after: int = 0, times: int = 1, direction: str = "both") -> None:
        """Flip a bit in the byte that comes after so many more, and again, `times` in all."""
        for harm in self._of(direction):
            harm.corrupt_after, harm.corruptions = after, times

    def listen(self, state: str) -> None:
        """Switch the listening socket: `open`, `refuse`, `black-hole`, `unaccepted`."""
        assert self._listener is not None, "the relay is not started"
        self._listener.switch(state)

    def seen(self) -> dict[str, Any]:
        """Return counts: connections so far and now, bytes passed and bytes corrupted each way."""
        ways = self.harms.items()
        return {
            "connected": self.connected,
            "open": len(self._pairs),
            "passed": {direction: harm.passed for direction, harm in ways},
            "corrupted": {direction: harm.corrupted for direction, harm in ways},
        }

    def _of(self, direction: str) -> list[Harm]:
        if direction == "both":
            return list(self.harms.values())
        if direction not in self.harms:
            raise ValueError(f"no direction {direction!r}; there are both, {', '.join(self.harms)}")
        return [self.harms[direction]]

    def _accept(self, near: socket.socket) -> None:
        self.connected += 1
        pair = self._pairs[self.connected] = _Pair(near)
        if not self._hangs_new:
            self._begin(self.connected, pair)

    def _begin(self, number: int, pair: _Pair) -> None:
        pair.task = asyncio.get_running_loop().create_task(self._forward(number, pair))
        # Closed only when the loop has let go of both sockets; a task cancelled before its first step closes too.
        pair.task.add_done_callback(lambda _: pair.close())

    async def _forward(self, number: int, pair: _Pair) -> None:
        loop = asyncio.get_running_loop()
        try:
            pair.far = socket.socket(socket.AF_INET6 if ":" in self.target[0] else socket.AF_INET)
            pair.far.setblocking(False)
            pair.far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await loop.sock_connect(pair.far, self.target)
            ends = {"out": (pair.near, pair.far), "in": (pair.far, pair.near)}
            async with asyncio.TaskGroup() as both:
                for direction, (source, sink) in ends.items():
                    pump = Pump(self.harms[direction], source, sink, f"{self._seed}:{number}:{direction}")
                    both.create_task(pump.run())
            pair.with_reset = False
        except* OSError:  # One side was reset or never there: so the other one learns it.
            pass
        finally:
            self._pairs.pop(number, None)

    def _end(self, number: int, *, with_reset: bool) -> None:
        pair = self._pairs.pop(number)
        pair.with_reset = with_reset
        if pair.task is not None:
            pair.task.cancel()
        else:
            pair.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A TCP relay that harms what passes.")
    parser.add_argument("--target", required=True, help="HOST:PORT to forward to")
    parser.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT; port 0: any")
    parser.add_argument("--control", default="127.0.0.1:0", help="HOST:PORT of the control port")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    host, port = parse_address(arguments.listen)
    relay = Relay(arguments.target, host=host, port=port, seed=arguments.seed)
    names = ("heal", "cut", "fin", "black_hole", "drop", "delay", "split", "throttle", "corrupt", "listen", "seen")
    control = ControlServer({name: getattr(relay, name) for name in names})
    await control.start(*parse_address(arguments.control))
    await relay.start()
    await run_until_told(control, relay.address)
    await relay.stop()


def main() -> int:
    """Run until told to quit."""
    end_with_parent()
    try:
        asyncio.run(_run(_arguments()))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"relay: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
