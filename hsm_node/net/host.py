"""What a link needs of the node around it."""

import asyncio
from typing import TYPE_CHECKING, Protocol

from hsm_node.net.slow_requests import SlowRequests
from hsm_node.service.request import Request
from hsm_wire.messages import Hello

if TYPE_CHECKING:  # A link imports this module.
    from hsm_node.net.link import Link


class Answered(Protocol):
    """Counts an answer."""

    def __call__(self, opcode: int, status: int, *, done: bool) -> None:
        """Count it; `done`: work was done for it."""


class Host(Protocol):
    """The node, seen from one of its connections."""

    @property
    def cluster(self) -> str: ...

    @property
    def max_frame_bytes(self) -> int: ...

    @property
    def current(self) -> bool:
        """Whether the keys are those of the store; otherwise answers are marked stale."""

    def stalled(self) -> bool:
        """Say whether the loop stood still until now; then every connection has been dropped."""

    def admit(self, link: "Link", transport: asyncio.BaseTransport) -> str | None:
        """Take the connection: return who the peer is, None if there is no room. Raises Refusal where its HELLO is
        to be answered with that."""

    def welcome(self, hello: Hello) -> tuple[str, str]:
        """Return this node's name and configuration hash."""

    def follow(self) -> None:
        """Bring the keys to the store's state."""

    def serve(self, request: Request) -> None:
        """Serve a request."""

    def served(self, requests: int, seconds: float) -> None:
        """Note that a batch was served on the loop."""

    answered: Answered
    """Counts an answer."""

    slow: SlowRequests
    """Hears of what took long."""

    def answered_stale(self) -> None:
        """Count an answer that is marked stale."""

    def pong(self) -> bytes:
        """Return the body of a PONG."""

    def closed(self, link: "Link") -> None:
        """Forget a link."""
