"""What the system knows of a silent peer: whether the machine behind it still acknowledges what it is sent.

A process that hangs, or was stopped, leaves a kernel that acknowledges; a machine that lost its power and a network
that drops packets do not.
"""

import asyncio
import socket
import struct
import sys
from typing import Final

_TCP_INFO_BYTES: Final = 60
_UNACKED: Final = 24
_LAST_ACK_RECV: Final = 56
"""Offsets in Linux's `struct tcp_info` (linux/tcp.h); fields are only ever added at its end."""
_U32: Final = struct.Struct("=I")
_MS: Final = 1_000


def unacknowledged_s(transport: asyncio.BaseTransport | None) -> float:
    """Return how many seconds ago the last acknowledgement came, where one is missing: it may be due only now.

    0.0 where none is missing, and where the system does not tell: no TCP, not Linux, a closed connection.
    """
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None or sys.platform != "linux":
        return 0.0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return 0.0
    missing = len(info) == _TCP_INFO_BYTES and _U32.unpack_from(info, _UNACKED)[0]
    return _U32.unpack_from(info, _LAST_ACK_RECV)[0] / _MS if missing else 0.0
