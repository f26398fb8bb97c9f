"""The sockets of one client, from before they connect until they are closed: what a forked child must let go.

The event loop's own way to connect shows a socket only once it is connected, and with TLS only after the handshake.
"""

import asyncio
import errno
import os
import socket
import threading
from typing import Any, Final
from weakref import WeakSet

from hsm_client.config import ProxyAddress

_MAKING: Final = threading.RLock()
"""Held while a socket is made and noted down, and during a fork: no child gets one that is not noted down. Reentrant,
for a signal's handler may fork anywhere."""
os.register_at_fork(before=_MAKING.acquire, after_in_parent=_MAKING.release, after_in_child=_MAKING.release)


class Sockets:
    """See the module."""

    def __init__(self) -> None:
        self._made: WeakSet[socket.socket] = WeakSet()

    def file_numbers(self) -> list[int]:
        """Return the file descriptors of the sockets that are open, or being opened."""
        return [number for made in list(self._made) if (number := made.fileno()) >= 0]

    async def connect(self, address: ProxyAddress) -> socket.socket:
        """Connect to the first of the host's addresses that takes it.

        Raises:
            OSError: none did; this is the last one's reason.
            UnicodeError: the host's name cannot be one.
        """
        failure = OSError("its name has no address")
        for family, kind, protocol, _, target in await _look_up(address):
            try:
                return await self._connected(family, kind, protocol, target)
            except OSError as error:
                failure = error
        raise failure

    async def _connected(self, family: int, kind: int, protocol: int, target: Any) -> socket.socket:
        with _MAKING:
            made = socket.socket(family, kind, protocol)
            self._made.add(made)
        try:
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Not the loop's sock_connect: uvloop's looks the address up again, and forgets an IPv6 address's scope.
            fault = made.connect_ex(target)
            if fault == errno.EINPROGRESS:
                await _writable(made)
                fault = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if fault:
                raise OSError(fault, os.strerror(fault))
        except BaseException:
            made.close()
            raise
        return made


async def _look_up(address: ProxyAddress) -> list[tuple[int, int, int, str, Any]]:
    kind = socket.SOCK_STREAM
    try:  # a number needs no look-up, and none of the threads that do them
        return list(socket.getaddrinfo(address.host, address.port, type=kind, flags=socket.AI_NUMERICHOST))
    except socket.gaierror:
        return list(await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=kind))


async def _writable(connecting: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(connecting, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(connecting)
