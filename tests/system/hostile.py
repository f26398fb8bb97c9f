"""Clients that mean harm, as one process: `hostile.py PORT CLIENT_TOML CA CERTIFICATE KEY KIND...`, until ended.

One sends garbage, one never reads its answers, one opens 5,000 connections, 64 ask with deadlines of 1 ms, 16 generate
RSA-8192 keys without end; one, for fake nodes only, asks again and again for what crashes them. `-` for the three files
is no TLS. Prints `ready` when all of them are at it.
"""

import asyncio
import contextlib
import itertools
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
from hsm_wire.forms import NIL_PARAMETERS  # noqa: E402
from hsm_wire.mechanisms import CKM_ECDSA_SHA256  # noqa: E402
from hsm_wire.messages import Sign, SignResult  # noqa: E402
from hsm_wire.opcodes import Opcode  # noqa: E402

CONNECTIONS = 5_000
OPENING_AT_A_TIME = 64
IMPATIENT = 64
GENERATORS = 16
DEADLINE_S = 0.001
PAUSE_S = 0.05
UNREAD_AT_ONCE = 64
UNREAD_PATIENCE_S = 20.0
"""More than the 10 s after which the proxy closes who does not read."""
RANDOM_BYTES = 4_096
POISONOUS = bytes(15) + b"\x01"
"""The key whose use crashes a node that was told so."""
POISON_EACH_S = 1.0
_LOST = (OSError, ConnectionError, asyncio.IncompleteReadError)


class Hostile:
    """All of them, against one proxy."""

    def __init__(self, port: int, identity: Identity | None, config: Path) -> None:
        self._port = port
        self._context = None if identity is None else tls_context(identity)
        self._config = config
        self._held: list[asyncio.StreamWriter] = []
        self._chance = random.Random(1)

    async def run(self, kinds: list[str]) -> None:
        """Begin with these and never end."""
        tasks = {
            "garbage": [self._garbage],
            "unread": [self._never_read],
            "connections": [self._many_connections],
            "impatient": [self._impatient] * IMPATIENT,
            "generators": [partial(self._generate, number) for number in range(GENERATORS)],
            "poison": [self._poison],
        }
        running = [asyncio.ensure_future(task()) for kind in kinds for task in tasks[kind]]
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
            with contextlib.suppress(*_LOST, TimeoutError):
                reader, writer = await self._connected()
                try:
                    writer.write(frame(HELLO, HELLO_BODY))
                    # What comes before WELCOME breaks the protocol: the proxy would close at once, and have no trouble.
                    (length,) = struct.unpack(">I", await reader.readexactly(4))
                    await reader.readexactly(length)
                    writer.transport.pause_reading()
                    await self._ask_without_end(writer)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(PAUSE_S)

    async def _ask_without_end(self, writer: asyncio.StreamWriter) -> None:
        """Ask a few at a time, as many as may be in flight, so that answers come and not refusals; megabytes of them
        go into the kernel's buffers before one is left with the proxy. From then on wait to be closed."""
        for number in itertools.count(1):
            if writer.transport.is_closing():
                return
            writer.write(frame(REQUEST, [RANDOM_BYTES], opcode=int(Opcode.RANDOM), request_id=number, timeout_ms=5_000))
            if number % UNREAD_AT_ONCE == 0:
                await asyncio.wait_for(writer.drain(), UNREAD_PATIENCE_S)
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

    async def _poison(self) -> None:
        async with connect(self._config, pool_size=1) as hsm:
            while True:
                with contextlib.suppress(HsmError):
                    await hsm.request(
                        Opcode.SIGN, Sign(POISONOUS, CKM_ECDSA_SHA256, NIL_PARAMETERS, b"poison"), SignResult
                    )
                await asyncio.sleep(POISON_EACH_S)


if __name__ == "__main__":
    _identity = None if sys.argv[3] == "-" else Identity(*map(Path, sys.argv[3:6]))
    asyncio.run(Hostile(int(sys.argv[1]), _identity, Path(sys.argv[2])).run(sys.argv[6:]))
