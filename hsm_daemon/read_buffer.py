"""Where what comes on the connections of a loop is read to: one buffer for all, empty again when the reader returns."""

import asyncio
from typing import Final
from weakref import WeakKeyDictionary

READ_BYTES: Final = 256 << 10
"""Read at once: 16 records of TLS, as much as the kernel often has of a peer that sends large bodies."""

_buffers: WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = WeakKeyDictionary()


def read_buffer(loop: asyncio.AbstractEventLoop) -> memoryview:
    """Return the buffer of that loop. For `get_buffer` only: what is in it belongs to the read that goes on."""
    buffer = _buffers.get(loop)
    if buffer is None:
        buffer = _buffers[loop] = memoryview(bytearray(READ_BYTES))
    return buffer
