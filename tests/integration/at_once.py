"""Many requests of one client at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

IN_FLIGHT = 32
FEW_IN_FLIGHT = 4
"""Of what takes a node tens of milliseconds: on a machine that is busy besides, more look like nodes that hang."""
Work = Callable[[], Awaitable[None]]


async def do_at_once(works: Iterable[Work], in_flight: int = IN_FLIGHT) -> None:
    """Do all of it, that much at one time."""
    waiting = iter(works)

    async def worker() -> None:
        for work in waiting:
            await work()

    await asyncio.gather(*(worker() for _ in range(in_flight)))
