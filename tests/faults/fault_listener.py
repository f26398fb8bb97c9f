"""A listening socket that can refuse, or swallow connections, without ever losing its port."""

import asyncio
import socket
import struct
from collections.abc import Callable

BACKLOG = 512
_FILLERS = 3  # connections of our own that fill a queue of length 0: one would do, the kernel rounds
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
STATES = ("open", "refuse", "black-hole", "unaccepted")


def reset(connection: socket.socket) -> None:
    """Make the close that follows send RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def reserve(host: str, port: int) -> socket.socket:
    """Return a socket that holds a port without listening: whoever connects is refused.

    Others can listen on the same port as long as they set SO_REUSEPORT too.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    holder = socket.socket(family)
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((host, port))
    except BaseException:
        holder.close()
        raise
    return holder


class FaultListener:
    """Accepts connections on the running loop and hands the sockets over.

    `open`: as it should be. `refuse`: nobody listens. `black-hole`: the queue is full, so the system drops SYNs and
    a connect hangs. `unaccepted`: connects succeed, nobody ever serves them.
    """

    def __init__(self, host: str, port: int, accepted: Callable[[socket.socket], None]) -> None:
        self._holder = reserve(host, port)
        self.host = host
        self.port: int = self._holder.getsockname()[1]
        self.state = "refuse"
        self._accepted = accepted
        self._listening: socket.socket | None = None
        self._fillers: list[socket.socket] = []

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def switch(self, state: str) -> None:
        """Go to another state.

        Raises:
            ValueError: there is no such state.
        """
        if state not in STATES:
            raise ValueError(f"no state {state!r} of a listener; there are {', '.join(STATES)}")
        if state == self.state:
            return
        # Who waits in the queue is served when accepting goes on: closing the socket would reset them.
        keeps_queue = self.state == "unaccepted" and state == "open"
        if not keeps_queue:
            self._stop()
            if state in ("open", "unaccepted"):
                self._listen(BACKLOG)
            elif state == "black-hole":
                self._fill(self._listen(0))
        if state == "open" and self._listening is not None:
            asyncio.get_running_loop().add_reader(self._listening, self._accept)
        self.state = state

    def close(self) -> None:
        """Give up the port."""
        self._stop()
        self._holder.close()

    def _listen(self, backlog: int) -> socket.socket:
        self._listening = reserve(self.host, self.port)
        self._listening.setblocking(False)
        self._listening.listen(backlog)
        return self._listening

    def _fill(self, listening: socket.socket) -> None:
        for _ in range(_FILLERS):
            filler = socket.socket(listening.family)
            filler.setblocking(False)
            self._fillers.append(filler)
            filler.connect_ex((self.host, self.port))

    def _stop(self) -> None:
        if self._listening is not None:
            if self.state == "open":
                asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None
        for filler in self._fillers:
            filler.close()
        self._fillers = []

    def _accept(self) -> None:
        assert self._listening is not None
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # None is waiting any more, or it went away before we took it.
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._accepted(connection)
            if self._listening is None:
                return
