"""Memory that goes back to the system when it is not needed any more.

A crowd of clients leaves the heap full of holes: the buffers of their connections have gone, what outlived them is
left. glibc gives such pages back only when it is asked.

A node has few connections, and maps their large blocks by themselves (`map_large_blocks`): frames of large bodies.
Where one was before, keys have come to lie meanwhile (an EC key is a hundred small blocks), so the heap would grow.
Measured: bodies of 512 KiB cost a node a fifth more processor time, those of 200 KiB nothing. For a proxy of 200
clients it does not hold: glibc takes such a block from the heap where there is room, and with every crowd more of them
lie there. (Until TLS was our own, each connection had such a block of 256 KiB, and a node's heap grew by one a minute
where connections are lost all the time.)

A process whose memory is locked has to let go of the lock for it (`hardening`). It does so only when it has grown since
the last time.
"""

import asyncio
import contextlib
import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hsm_daemon import hardening

GROWTH_BYTES: Final = 512 << 10
"""Of a locked process, before its pages are given back: less is not worth a moment without the lock. With four times
that, a node held 4 MiB more after 53 minutes of bodies of all sizes than after five; with this, 2 MiB after 28."""
MAPPED_BYTES: Final = 256 << 10
"""A block of this size or more makes no heap grow: the frame of a large body while it comes."""
TOP_BYTES: Final = 4 << 20
"""Free at the end of the heap before glibc shrinks it by itself: with its 128 KiB each large body does that anew, which
doubles the cost of bodies of 64 KiB."""
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""Of glibc's mallopt."""
_STATM: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
TRIM_EVERY_S: Final = 30.0  # a trim takes a millisecond or two after a crowd has gone, else a few hundredths of one


def map_large_blocks() -> None:
    """Map large blocks by themselves, but where the heap has room; to be called at start. Only glibc has this."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)
        mallopt(_M_TRIM_THRESHOLD, TOP_BYTES)


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
