"""The clients: N connections with K requests in flight each, closed loop.

Runs as a process of its own: `python -m bench.load FOLDER PORT CONNECTIONS IN_FLIGHT SIZE [--tls]`. It connects,
prints `connected`, then serves commands on standard input: `measure SECONDS` runs load and prints a line of JSON
(seconds, requests, errors, p50_ms, p99_ms); the end of the input ends it.
"""

import asyncio
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import cast

import uvloop

from bench.tls import client_context
from hsm_wire import kinds, limits
from hsm_wire.frames import HEADER, encode_frame
from hsm_wire.messages import Hello, encode_body
from hsm_wire.opcodes import Opcode

CONNECTING_AT_ONCE = 32  # handshakes; more would only time each other out


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
        self.errors = 0
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
        self.errors += len(self._started)
        self._started.clear()
        self.idle.set()
        if not self.welcomed.done():
            self.welcomed.set_exception(ConnectionError(f"closed before WELCOME: {exc}"))

    def start(self) -> None:
        """Begin to send."""
        self.running = True
        self.errors = 0
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
                self.latencies.append(now - self._started.pop(request_id))
                self.errors += status != 0
                answered += 1
            elif kind == kinds.WELCOME:
                self.welcomed.set_result(None)
            offset = stop
        self._rest = data[offset:]
        if self.running:
            self._send(answered)
        elif not self._started:
            self.idle.set()

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


async def measure(clients: list[LoadProtocol], seconds: float) -> dict[str, float]:
    """Run load for so long; return what came of it."""
    begin = perf_counter()
    for client in clients:
        client.start()
    await asyncio.sleep(seconds)
    for client in clients:
        client.running = False
    await asyncio.wait_for(asyncio.gather(*(client.idle.wait() for client in clients)), 30)
    took = perf_counter() - begin
    latencies = sorted(value for client in clients for value in client.latencies)
    count = len(latencies)
    return {
        "seconds": took,
        "requests": count,
        "errors": sum(client.errors for client in clients),
        "p50_ms": latencies[count // 2] * 1000 if count else 0.0,
        "p99_ms": latencies[count * 99 // 100] * 1000 if count else 0.0,
    }


async def main(arguments: list[str]) -> None:
    """Serve the commands on standard input."""
    folder, port, count, in_flight, size = arguments[:5]
    clients = await connect(
        int(port), int(count), int(in_flight), int(size), Path(folder) if "--tls" in arguments else None
    )
    print("connected", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await measure(clients, float(line.split()[1]))), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
