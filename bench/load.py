"""The clients in Python, where native/load.c cannot be compiled: N connections, K requests in flight each, closed loop.

Runs as a process of its own: `python -m bench.load --port P [--connections N] [--in-flight K] [--size BYTES]
[--tls FOLDER]`. It connects, prints `connected`, then serves commands on standard input: `measure SECONDS` runs load
and prints a line of JSON as the one in C does; the end of the input ends it.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter, process_time
from typing import cast

import uvloop

from bench.tls import client_context
from hsm_wire import kinds, limits
from hsm_wire.frames import HEADER, encode_frame
from hsm_wire.messages import Hello, encode_body
from hsm_wire.opcodes import Opcode

CONNECTING_AT_ONCE = 32  # handshakes; more would only time each other out
DRAIN_SECONDS = 10  # for the answers owed at the end of a run


class LoadProtocol(asyncio.Protocol):
    """One connection that keeps `in_flight` requests under way while its run is on."""

    def __init__(self, in_flight: int, size: int) -> None:
        self._in_flight = in_flight
        self._body = bytes(size - limits.HEADER_BYTES)
        self._rest = b""
        self._next_id = 1
        self._started: dict[int, float] = {}
        self._transport: asyncio.Transport | None = None
        self.running = False
        self.errors: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.welcomed = asyncio.get_running_loop().create_future()
        self.idle = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say HELLO."""
        transport = cast("asyncio.Transport", transport)  # uvloop has a class of its own
        self._transport = transport
        hello = Hello(1, 1, limits.DEFAULT_MAX_FRAME_BYTES, limits.DEFAULT_MAX_IN_FLIGHT, "bench")
        transport.write(encode_frame(kinds.HELLO, encode_body(hello)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Count what was in flight as failed."""
        if self._started:
            self.errors["lost"] += len(self._started)
        self._started.clear()
        self.idle.set()
        if not self.welcomed.done():
            self.welcomed.set_exception(ConnectionError(f"closed before WELCOME: {exc}"))

    def start(self) -> None:
        """Begin to send."""
        self.running = True
        self.errors = Counter()
        self.latencies = []
        self.idle.clear()
        self._send(self._in_flight)

    def data_received(self, data: bytes) -> None:
        """Note each answer, and send as many requests again."""
        data = self._rest + data if self._rest else data
        offset = answered = 0
        now = perf_counter()
        while len(data) - offset >= limits.HEADER_BYTES:
            length, _, kind, _, request_id, _, _, _, status, _ = HEADER.unpack_from(data, offset)
            stop = offset + limits.LENGTH_FIELD_BYTES + length
            if stop > len(data):
                break
            if kind == kinds.RESPONSE:
                answered += self._answer(request_id, status, now)
            elif kind == kinds.WELCOME:
                self.welcomed.set_result(None)
            offset = stop
        self._rest = data[offset:]
        if self.running:
            self._send(answered)
        elif not self._started:
            self.idle.set()

    def _answer(self, request_id: int, status: int, now: float) -> int:
        """Note an answer; return 1 if it was to a request of ours. One that was not ends the connection."""
        started = self._started.pop(request_id, None)
        if started is None:
            self.errors["wrong_id"] += 1
            assert self._transport is not None
            self._transport.abort()
            return 0
        if status:
            self.errors[f"0x{status:04x}"] += 1
        else:
            self.latencies.append(now - started)
        return 1

    def _send(self, count: int) -> None:
        """Send `count` requests with one write."""
        assert self._transport is not None
        if self._transport.is_closing():
            return
        now = perf_counter()
        requests = []
        length = limits.MIN_LENGTH + len(self._body)
        for _ in range(count):
            request_id = self._next_id
            self._next_id += 1
            self._started[request_id] = now
            requests.append(HEADER.pack(length, 1, kinds.REQUEST, 0, request_id, 0, 0, Opcode.SIGN, 0, request_id))
            requests.append(self._body)
        if requests:
            self._transport.write(b"".join(requests))


async def connect(port: int, count: int, in_flight: int, size: int, folder: Path | None) -> list[LoadProtocol]:
    """Open all connections, a few handshakes at a time."""
    loop = asyncio.get_running_loop()
    context = client_context(folder) if folder is not None else None
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def one() -> LoadProtocol:
        async with gate:
            _, protocol = await loop.create_connection(
                lambda: LoadProtocol(in_flight, size), "127.0.0.1", port, ssl=context
            )
            await asyncio.wait_for(protocol.welcomed, 30)
            return protocol

    return list(await asyncio.gather(*(one() for _ in range(count))))


def percentile_ms(latencies: list[float], percent: float) -> float:
    """Return the value below which so many of the sorted latencies are."""
    if not latencies:
        return 0.0
    return latencies[min(len(latencies) - 1, int(len(latencies) * percent / 100))] * 1000


async def measure(clients: list[LoadProtocol], seconds: float) -> dict[str, object]:
    """Run load for so long; return what came of it."""
    begin = perf_counter()
    used = process_time()
    for client in clients:
        client.start()
    await asyncio.sleep(seconds)
    for client in clients:
        client.running = False
    await asyncio.wait_for(asyncio.gather(*(client.idle.wait() for client in clients)), DRAIN_SECONDS)
    took = perf_counter() - begin
    latencies = sorted(value for client in clients for value in client.latencies)
    errors = sum((client.errors for client in clients), Counter[str]())
    failed = errors.total() - errors["wrong_id"]  # that is an answer without a request
    return {
        "requests": len(latencies) + failed,
        "errors": errors.total(),
        "errors_by_status": dict(errors),
        "seconds": took,
        "throughput": len(latencies) / took,
        "p50_ms": percentile_ms(latencies, 50),
        "p90_ms": percentile_ms(latencies, 90),
        "p99_ms": percentile_ms(latencies, 99),
        "p99_9_ms": percentile_ms(latencies, 99.9),
        "max_ms": percentile_ms(latencies, 100),
        "cpu_share": (process_time() - used) / took,
    }


async def serve(options: argparse.Namespace) -> None:
    """Serve the commands on standard input."""
    clients = await connect(options.port, options.connections, options.in_flight, options.size, options.tls)
    print("connected", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await measure(clients, float(line.split()[1]))), flush=True)


def main() -> None:
    """Read the options, run."""
    parser = argparse.ArgumentParser(prog="bench.load", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--tls", type=Path, metavar="FOLDER")
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
