"""Requests between two nodes: who waits for room, for the retry budget, or for a verdict, and how much that is."""

from collections.abc import Iterator

from proxy.core.parties import Request


class WaitingRoom:
    """In the order of their coming."""

    __slots__ = ("_requests", "bytes", "size")

    def __init__(self) -> None:
        self._requests: dict[Request, None] = {}
        self.bytes = 0
        self.size = 0
        """As `len` says it; every request of the proxy asks for it."""

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self._requests)

    def __contains__(self, request: Request) -> bool:
        return request in self._requests

    def add(self, request: Request) -> None:
        """Let a request wait here; one that does already keeps its place."""
        if request not in self._requests:
            self._requests[request] = None
            self.size += 1
            self.bytes += len(request.frame.raw)

    def discard(self, request: Request) -> None:
        """Take a request out, if it is here."""
        if request in self._requests:
            del self._requests[request]
            self.size -= 1
            self.bytes -= len(request.frame.raw)
