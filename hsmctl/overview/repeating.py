"""Looks again and again until Ctrl-C."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from hsmctl.overview.observer import Observer
from hsmctl.proxies import Asker


def repeat(asker: Asker, look: Callable[[Observer], Awaitable[None]], interval_s: float) -> None:
    """Call `look` every so many seconds; Ctrl-C is how it ends, in order."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_repeat(asker, look, interval_s))


async def _repeat(asker: Asker, look: Callable[[Observer], Awaitable[None]], interval_s: float) -> None:
    observer = Observer(asker)
    loop = asyncio.get_running_loop()
    try:
        while True:
            due = loop.time() + interval_s
            await look(observer)
            await asyncio.sleep(max(due - loop.time(), 0))
    finally:
        await observer.close()
