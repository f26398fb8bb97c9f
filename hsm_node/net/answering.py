"""Which nodes answer: whether somebody takes a connection at one of their addresses."""

import asyncio
from collections.abc import Sequence
from typing import Final

ANSWER_S: Final = 1.0
"""For a connection: between data centres it takes tens of milliseconds. All are tried at once."""


async def answering(addresses: dict[str, list[tuple[str, int]]]) -> Sequence[str]:
    """Return the names behind which somebody takes a connection."""
    ways = [(name, address) for name, known in addresses.items() for address in known]
    taken = await asyncio.gather(*(_takes(*address) for _, address in ways))
    return sorted({name for (name, _), takes in zip(ways, taken, strict=True) if takes})


async def _takes(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:  # TimeoutError is one.
        return False
    writer.transport.abort()  # Nothing is said: its TLS would only ask for a name.
    return True
