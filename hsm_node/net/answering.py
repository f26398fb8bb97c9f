"""Which nodes answer: whether somebody at one of their addresses says something in our protocol.

Theory. That a connection comes about says nothing: the system takes it for a process that hangs, or for a stranger on
that port. Where there is TLS, who ends the handshake lives, whatever it would say then. Else HELLO is sent: what the
node says to that is an answer, also that it refuses this one.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Final

from hsm_wire import kinds, limits
from hsm_wire.frames import FrameSplitter, encode_frame
from hsm_wire.messages import Hello, encode_body

ANSWER_S: Final = 3.0
"""For an answer: between data centres it takes tens of milliseconds, from a node that is busy more. All are asked at
once."""
READ_BYTES: Final = 4096
NAME: Final = "hsm-node"
Context = Callable[[], ssl.SSLContext | None]
"""Returns that of a connecting end, as it is now; None: without TLS."""


class Answering:
    """Asks, with this node's certificate."""

    def __init__(self, context: Context) -> None:
        """Ask nobody yet."""
        self._context = context

    async def __call__(self, addresses: dict[str, list[tuple[str, int]]]) -> Sequence[str]:
        """Return the names behind which a node answers."""
        ways = [(name, address) for name, known in addresses.items() for address in known]
        answers = await asyncio.gather(*(self._answers(*address) for _, address in ways))
        return sorted({name for (name, _), answered in zip(ways, answers, strict=True) if answered})

    async def _answers(self, host: str, port: int) -> bool:
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_connection(host, port, ssl=self._context())
                try:
                    return self._context() is not None or await _greeted(reader, writer)
                finally:
                    writer.transport.abort()
        except ssl.SSLCertVerificationError:
            return True  # It may be a node whose certificate has expired: whoever promotes has a look.
        except OSError:  # TimeoutError is one.
            return False


async def _greeted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    hello = Hello(1, limits.PROTOCOL_VERSION, limits.DEFAULT_MAX_FRAME_BYTES, 1, NAME)
    writer.write(encode_frame(kinds.HELLO, encode_body(hello)))
    splitter = FrameSplitter(limits.GREETING_MAX_FRAME_BYTES)
    while data := await reader.read(READ_BYTES):
        if splitter.split(data):
            return True
        if splitter.fault is not None:
            break
    return False
