"""Connections that were accepted and whose peer has not said a word: they hold a file and nothing else."""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from hsm_daemon import clock

SILENT_S: Final = 1.0  # the kernel has waited for their first byte already; a round trip is far shorter
SILENT_AT_ONCE: Final = 1_024  # with more, who waits longest makes room


class SilentPeers:
    """Waits for the first byte of each, without reading it."""

    def __init__(self, spoke: Callable[[socket.socket, str], None]) -> None:
        self._spoke = spoke
        self._waiting: OrderedDict[socket.socket, tuple[str, float]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @staticmethod
    def is_silent(connection: socket.socket) -> bool:
        """Say whether nothing has come on it yet; an end or a fault is something."""
        connection.setblocking(False)
        try:
            connection.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        return False

    def wait_for(self, connection: socket.socket, peer: str) -> None:
        """Hand the connection on when its first byte comes, close it when none does."""
        if len(self._waiting) >= SILENT_AT_ONCE:
            self._drop(next(iter(self._waiting)))
        self._waiting[connection] = peer, clock.monotonic() + SILENT_S
        asyncio.get_running_loop().add_reader(connection.fileno(), self._readable, connection)
        self._watch()

    def close(self) -> None:
        """Drop them all."""
        for connection in list(self._waiting):
            self._drop(connection)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def ended(self) -> None:
        """Wait until the one that came last has spoken or is dropped."""
        await asyncio.sleep(SILENT_S if self._waiting else 0)

    def _readable(self, connection: socket.socket) -> None:
        peer, _ = self._waiting.pop(connection)
        asyncio.get_running_loop().remove_reader(connection.fileno())
        self._spoke(connection, peer)

    def _drop(self, connection: socket.socket) -> None:
        del self._waiting[connection]
        asyncio.get_running_loop().remove_reader(connection.fileno())
        connection.close()

    def _watch(self) -> None:
        if self._timer is None and self._waiting:
            _, until = next(iter(self._waiting.values()))
            self._timer = asyncio.get_running_loop().call_later(max(0.0, until - clock.monotonic()), self._overdue)

    def _overdue(self) -> None:
        self._timer = None
        now = clock.monotonic()
        for connection, (_, until) in list(self._waiting.items()):
            if until > now:
                break
            self._drop(connection)
        self._watch()
