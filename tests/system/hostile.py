"""Clients that mean harm, as one process: `hostile.py PORT CA CERTIFICATE KEY CLIENT_TOML [KIND...]`, until ended.

One sends garbage, one never reads its answers, one opens 5,000 connections, 64 ask with deadlines of 1 ms, 16 generate
RSA-8192 keys without end. Prints `ready` when all of them are at it.
"""

import asyncio
import contextlib
import random
import struct
import sys
from functools import partial
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path += [str(_HERE.parent / "integration")]

from certificates import Identity  # noqa: E402 - found through the line above
from raw import HELLO, HELLO_BODY, REQUEST, frame, tls_context  # noqa: E402

from hsm_client import connect  # noqa: E402
from hsm_client.errors import HsmError  # noqa: E402
from hsm_wire.opcodes import Opcode  # noqa: E402

CONNECTIONS = 5_000
OPENING_AT_A_TIME = 64
IMPATIENT = 64
GENERATORS = 16
DEADLINE_S = 0.001
PAUSE_S = 0.05
UNREAD_REQUESTS = 4_000
RANDOM_BYTES = 4_096
_LOST = (OSError, ConnectionError, asyncio.IncompleteReadError)


class Hostile:
    """All of them, against one proxy."""

    def __init__(self, port: int, identity: Identity, config: Path) -> None:
        self._port = port
        self._context = tls_context(identity)
        self._config = config
        self._held: list[asyncio.StreamWriter] = []
        self._chance = random.Random(1)

    async def run(self, kinds: list[str]) -> None:
        """Begin with these, or with all, and never end."""
        tasks = {
            "garbage": [self._garbage],
            "unread": [self._never_read],
            "connections": [self._many_connections],
            "impatient": [self._impatient] * IMPATIENT,
            "generators": [partial(self._generate, number) for number in range(GENERATORS)],
        }
        running = [asyncio.ensure_future(task()) for kind in kinds or tasks for task in tasks[kind]]
        print("ready", flush=True)
        await asyncio.gather(*running)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port, ssl=self._context)

    async def _garbage(self) -> None:
        while True:
            with contextlib.suppress(*_LOST):
                reader, writer = await self._connected()
                writer.write(struct.pack(">I", self._chance.randrange(1 << 32)) + self._chance.randbytes(200))
                await reader.read()
                writer.close()
            await asyncio.sleep(PAUSE_S)

    async def _never_read(self) -> None:
        while True:
            with contextlib.suppress(*_LOST):
                _, writer = await self._connected()
                writer.write(frame(HELLO, HELLO_BODY))
                writer.transport.pause_reading()
                for number in range(UNREAD_REQUESTS):
                    body = [RANDOM_BYTES]
                    writer.write(
                        frame(REQUEST, body, opcode=int(Opcode.RANDOM), request_id=number + 1, timeout_ms=5_000)
                    )
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(writer.drain(), 20)
                await asyncio.sleep(20)
                writer.transport.abort()
            await asyncio.sleep(PAUSE_S)

    async def _many_connections(self) -> None:
        gate = asyncio.Semaphore(OPENING_AT_A_TIME)

        async def one() -> None:
            async with gate:
                with contextlib.suppress(*_LOST):
                    _, writer = await self._connected()
                    writer.write(frame(HELLO, HELLO_BODY))
                    self._held.append(writer)

        await asyncio.gather(*(one() for _ in range(CONNECTIONS)))

    async def _impatient(self) -> None:
        async with connect(self._config, retry=False, pool_size=1) as hsm:
            while True:
                with contextlib.suppress(HsmError):
                    hsm.timeout_s = DEADLINE_S
                    await hsm.random(16)
                await asyncio.sleep(PAUSE_S)

    async def _generate(self, number: int) -> None:
        while True:
            with contextlib.suppress(HsmError):
                async with connect(self._config, timeout_s=120.0, pool_size=1) as hsm:
                    while True:
                        key = await hsm.generate_key("rsa-8192", label=f"hostile-{number}")
                        await key.destroy()
            await asyncio.sleep(PAUSE_S)


if __name__ == "__main__":
    _ca, _certificate, _key = map(Path, sys.argv[2:5])
    asyncio.run(Hostile(int(sys.argv[1]), Identity(_ca, _certificate, _key), Path(sys.argv[5])).run(sys.argv[6:]))
