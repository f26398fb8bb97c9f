"""The connections of the local socket: the same protocol as a proxy speaks, without BIND. Root is an operator here."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final, cast

from hsm_daemon import logs
from hsm_daemon.log_limit import LimitedLog
from hsm_node import SOFTWARE
from hsm_node.core.principals import LOCAL_OPERATOR, Principal
from hsm_node.core.refusal import Refusal
from hsm_node.net.host import Answered
from hsm_node.net.link import Link
from hsm_node.net.local_socket import peer_uid
from hsm_node.net.slow_requests import SlowRequests
from hsm_node.service.request import Request, Serving
from hsm_wire.limits import DEFAULT_MAX_FRAME_BYTES, MAX_TIMEOUT_MS
from hsm_wire.messages import Hello
from hsm_wire.operations import Role
from hsm_wire.statuses import Status

MAX_LINKS: Final = 8
"""Connections at one time: people, each with one command."""
HELLO_S: Final = 5.0
"""Time from an open connection to HELLO."""
LIFE_S: Final = MAX_TIMEOUT_MS / 1000
"""Of a connection: the longest request there is. A command asks and goes; one that hangs must not keep a place."""

_log = LimitedLog(logs.logger("hsm_node.net"), 1)


class LocalAcceptor:
    """Implements `Host` for the links of the local socket."""

    def __init__(
        self, cluster: str, name: str, service: Serving, *, answered: Answered, pong: Callable[[], bytes]
    ) -> None:
        self.cluster = cluster
        self.max_frame_bytes = DEFAULT_MAX_FRAME_BYTES
        self.answered = answered
        self.pong = pong
        self.slow = SlowRequests()
        self._name = name
        self._service = service
        self._users = frozenset({0, os.geteuid()})
        self._ends: dict[Link, asyncio.TimerHandle] = {}
        """Open links, and what ends each."""
        self._server: asyncio.Server | None = None

    @property
    def links(self) -> int:
        """Open connections."""
        return len(self._ends)

    async def start(self, bound: socket.socket) -> None:
        """Take connections on a socket that listens."""
        root = Principal(LOCAL_OPERATOR, 0, frozenset({Role.OPERATE}), 0)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Link(self, HELLO_S, root), sock=bound)

    def stop(self) -> None:
        """Close the socket and drop what is open."""
        if self._server is not None:
            self._server.close()
        for link in list(self._ends):
            link.abort()

    # ---- Host

    @property
    def current(self) -> bool:
        """Whether the keys are those of the store."""
        return self._service.current

    def stalled(self) -> bool:
        """Return False: nobody has asked another node meanwhile, so what was sent is as good as before."""
        return False

    def admit(self, link: Link, transport: asyncio.BaseTransport) -> str | None:
        """Take a connection of root or of the node's own user; None where there is no room.

        Raises:
            Refusal: it is somebody else's; HELLO is answered with this.
        """
        if len(self._ends) >= MAX_LINKS:
            _log.event("warning", "a local connection is refused", reason="too many")
            return None
        self._ends[link] = asyncio.get_running_loop().call_later(LIFE_S, link.abort)
        user = _user(transport)
        if user in self._users:
            return f"local user {user}"
        _log.event("warning", "a local connection is refused", user=user)
        raise Refusal(Status.DENIED, "the local socket is for root and the node's own user; run this as root")

    def welcome(self, hello: Hello) -> tuple[str, str]:
        """Return this node's name; there is no configuration to compare."""
        del hello
        return f"{SOFTWARE} {self._name}", ""

    def follow(self) -> None:
        """Bring the keys to the store's state."""
        self._service.follow()

    def serve(self, request: Request) -> None:
        """Serve a request."""
        self._service.serve(request)

    def served(self, requests: int, seconds: float) -> None:
        """Say nothing of it: the window is reckoned from what proxies send."""

    def answered_stale(self) -> None:
        """Say nothing of it: whoever sits at the node knows its state."""

    def closed(self, link: Link) -> None:
        """Forget a link."""
        end = self._ends.pop(link, None)
        if end is not None:
            end.cancel()


def _user(transport: asyncio.BaseTransport) -> int:
    # uvloop gives a stand-in for the socket; a socket of our own on the same connection can be asked anything.
    number = cast("socket.socket", transport.get_extra_info("socket")).fileno()
    with socket.socket(fileno=os.dup(number)) as connection:
        return peer_uid(connection)
