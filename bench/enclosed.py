"""The proxy with its clients and its nodes in one process on one thread, for counting instructions.

`python -m bench.enclosed --connections N --in-flight K [--size BYTES]` prints `ready`, then serves commands on standard
input: `run ROUNDS` sends as many rounds of N x K requests and prints `done`; the end of the input ends it.

Theory. Two processes take turns as the machine likes, so that a read brings now one request and now thirty, and a count
of instructions scatters by a fifth. Here every round is the same: all requests are in the sockets before the proxy
reads, and the nodes' answers are before it reads again. The proxy is the whole one, with uvloop and real sockets, but
its time is made here: a second under valgrind is no second. Its beat is stopped while requests are counted, since how
many there are depends on the clock. What clients and nodes cost is in the count: two system calls a connection, and a
few copies of what came, without a look at each request.
"""

import argparse
import asyncio
import contextlib
import gc
import socket
import sys
import tempfile
from pathlib import Path
from typing import Final

import uvloop

from bench.echo_node import DEFAULT_WINDOW, EchoProtocol
from bench.proxy_files import write_proxy_files
from hsm_cluster.address import Address
from hsm_daemon import clock, logs
from hsm_wire import kinds, limits
from hsm_wire.frames import HEADER, encode_frame
from hsm_wire.messages import Hello, encode_body
from hsm_wire.opcodes import Opcode
from proxy.app import ProxyApp
from proxy.config import load_config
from proxy.core.requests.deadlines import SLOT_S
from proxy.net import ticker

NODES: Final = ("node-1", "node-2", "node-3")
STOPPED_S: Final = 1e6
"""Between two beats, from when on none may come."""
MAX_TURNS: Final = 10_000
"""Of the loop in one round: more, and an answer is lost."""
_KIND: Final = 5
_TIMEOUT_AND_PRINCIPAL: Final = range(12, 20)


class MadeTime:
    """The proxy's clock: it goes on only while this process does."""

    def __init__(self) -> None:
        self.now = clock.monotonic()

    def monotonic(self) -> float:
        """Return what stands in for the seconds of `clock.monotonic`."""
        return self.now

    async def go_on(self) -> None:
        """Let it pass, a beat at a time."""
        while True:
            await asyncio.sleep(SLOT_S)
            self.now += SLOT_S


class Mirror(EchoProtocol):
    """A node that makes answers of requests of one size without looking at each."""

    def __init__(self, size: int) -> None:
        super().__init__(DEFAULT_WINDOW)
        self._size = size

    def data_received(self, data: bytes) -> None:
        """Answer; whatever is not requests of that size only is for the patient way."""
        size = self._size
        count, odd = divmod(len(data), size)
        if odd or data[_KIND::size].count(kinds.REQUEST) != count:
            super().data_received(data)
            return
        answers = bytearray(data)
        answers[_KIND::size] = bytes((kinds.RESPONSE,)) * count
        zeros = bytes(count)
        for at in _TIMEOUT_AND_PRINCIPAL:
            answers[at::size] = zeros
        assert self._transport is not None
        self._transport.write(answers)


class Crowd:
    """The clients: plain sockets that send all at once and wait for all."""

    def __init__(self, address: str, connections: int, in_flight: int, size: int) -> None:
        at = Address.parse(address)
        self._answers = bytearray(size * in_flight)
        self._sockets = [socket.create_connection((at.host, at.port)) for _ in range(connections)]
        body = bytes(size - limits.HEADER_BYTES)
        self._requests = b"".join(
            encode_frame(kinds.REQUEST, body, request_id=number, opcode=Opcode.SIGN, operation_id=number)
            for number in range(1, in_flight + 1)
        )
        wish = max(in_flight, limits.DEFAULT_MAX_IN_FLIGHT)
        hello = Hello(1, 1, limits.DEFAULT_MAX_FRAME_BYTES, wish, "bench")
        for each in self._sockets:
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            each.send(encode_frame(kinds.HELLO, encode_body(hello)))

    async def greeted(self) -> None:
        """Wait for every WELCOME."""
        for each in self._sockets:
            while True:
                await asyncio.sleep(0.001)
                with contextlib.suppress(BlockingIOError):
                    each.recv_into(self._answers)
                    break

    async def round(self) -> None:
        """Send every client's requests; return when all are answered."""
        whole = len(self._requests)
        for each in self._sockets:
            each.send(self._requests)
        owed = dict.fromkeys(self._sockets, whole)
        for _ in range(MAX_TURNS):
            await asyncio.sleep(0)
            for each in list(owed):
                try:
                    owed[each] -= each.recv_into(self._answers)
                except BlockingIOError:
                    break  # The others will not have theirs either.
                if not owed[each]:
                    del owed[each]
            if not owed:
                break
        else:
            raise SystemExit("a request was not answered")
        _, _, kind, _, request_id, *_ = HEADER.unpack_from(self._answers)
        if kind != kinds.RESPONSE or not request_id:
            raise SystemExit("what came is no answer")

    def close(self) -> None:
        """Leave."""
        for each in self._sockets:
            each.close()


async def serve(folder: Path, connections: int, in_flight: int, size: int) -> None:
    """Start all, and run the rounds that standard input asks for."""
    made = MadeTime()
    clock.monotonic = made.monotonic
    passing = asyncio.create_task(made.go_on())
    loop = asyncio.get_running_loop()
    servers = {name: await loop.create_server(lambda: Mirror(size), "127.0.0.1", 0) for name in NODES}
    ports = {name: server.sockets[0].getsockname()[1] for name, server in servers.items()}
    app = ProxyApp(load_config(write_proxy_files(folder, ports, tls=False)))
    await app.start()
    while len(app.table.rotation) < len(NODES):  # noqa: ASYNC110 - the core, which knows, has no events
        await asyncio.sleep(0.01)
    crowd = Crowd(app.address, connections, in_flight, size)
    await crowd.greeted()
    for _ in range(3):
        await crowd.round()
    # The next beat is the last one for as long as this runs.
    setattr(ticker, "SLOT_S", STOPPED_S)  # noqa: B010 - not a name that the module offers
    await asyncio.sleep(0.2)
    passing.cancel()
    gc.collect()
    gc.freeze()
    await crowd.round()
    print("ready", flush=True)
    while (line := sys.stdin.readline()).startswith("run "):
        for _ in range(int(line.split()[1])):
            await crowd.round()
        print("done", flush=True)
    crowd.close()
    await app.stop()


def main() -> None:
    """Read the options, serve."""
    parser = argparse.ArgumentParser(prog="bench.enclosed", description=__doc__)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--size", type=int, default=128)
    options = parser.parse_args()
    logs.configure("bench")
    with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as name:
        uvloop.run(serve(Path(name), options.connections, options.in_flight, options.size))


if __name__ == "__main__":
    main()
