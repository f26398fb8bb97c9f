"""Memory that goes back to the system when it is not needed any more.

A crowd of clients leaves the heap full of holes: the buffers of their TLS connections have gone, what outlived them is
left. glibc gives such pages back only when it is asked. (A fixed limit for blocks that are mapped by themselves
would do it too; measured, it halves the throughput of large bodies.)
"""

import asyncio
import ctypes
from collections.abc import Callable
from typing import Final

TRIM_EVERY_S: Final = 30.0  # a trim takes a millisecond or two after a crowd has gone, else a few hundredths of one


def trimmer() -> Callable[[], None] | None:
    """Return what gives free pages back to the system; None where the C library knows no such thing."""
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None

    def trim() -> None:
        malloc_trim(0)

    return trim


def trim_now_and_then(loop: asyncio.AbstractEventLoop) -> None:
    """Do that every TRIM_EVERY_S for as long as the loop runs."""
    trim = trimmer()
    if trim is None:
        return

    def again() -> None:
        trim()
        loop.call_later(TRIM_EVERY_S, again)

    loop.call_later(TRIM_EVERY_S, again)
