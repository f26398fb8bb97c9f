"""Memory that goes back to the system when it is not needed any more.

A crowd of clients leaves the heap full of holes: the buffers of their TLS connections have gone, what outlived them is
left. glibc gives such pages back only when it is asked. (A fixed limit for blocks that are mapped by themselves
would do it too; measured, it halves the throughput of large bodies.)

A process whose memory is locked has to let go of the lock for it (`hardening`). It does so only when it has grown since
the last time.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hsm_daemon import hardening

GROWTH_BYTES: Final = 512 << 10
"""Of a locked process, before its pages are given back: less is not worth a moment without the lock. With four times
that, a node held 4 MiB more after 53 minutes of bodies of all sizes than after five; with this, 2 MiB after 28."""
_STATM: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
TRIM_EVERY_S: Final = 30.0  # a trim takes a millisecond or two after a crowd has gone, else a few hundredths of one


def trimmer() -> Callable[[], None] | None:
    """Return what gives free pages back to the system; None where the C library knows no such thing."""
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    at_last = resident_pages()

    def trim() -> None:
        nonlocal at_last
        if not hardening.memory_is_locked():
            malloc_trim(0)
        elif (resident_pages() - at_last) * _PAGE_BYTES > GROWTH_BYTES:
            with hardening.unlocked():
                malloc_trim(0)
            at_last = resident_pages()

    return trim


def resident_pages() -> int:
    """Return how much of this process is in memory; 0 where the system does not say."""
    try:
        return int(_STATM.read_text().split()[1])
    except OSError:
        return 0


def trim_now_and_then(loop: asyncio.AbstractEventLoop) -> None:
    """Do that every TRIM_EVERY_S for as long as the loop runs."""
    trim = trimmer()
    if trim is None:
        return

    def again() -> None:
        trim()
        loop.call_later(TRIM_EVERY_S, again)

    loop.call_later(TRIM_EVERY_S, again)
