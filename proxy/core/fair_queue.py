"""Requests that wait for a node below its window: bounded, and fair to clients.

Clients take turns, one request each, so a client with 256 waiting requests delays one with a single request by
one turn and not by 256.
"""

from collections import OrderedDict
from collections.abc import Iterator

from proxy.core.parties import Client, Request


class FairQueue:
    """A queue per client, served in turn."""

    __slots__ = ("_by_client", "bytes", "max_bytes", "max_requests", "size")

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.size = 0
        self.bytes = 0
        self._by_client: OrderedDict[Client, OrderedDict[Request, None]] = OrderedDict()

    def __iter__(self) -> Iterator[Request]:
        for requests in self._by_client.values():
            yield from requests

    def put(self, request: Request) -> bool:
        """Add the request behind its client's others; False when the queue is full."""
        length = len(request.frame.raw)
        if self.size >= self.max_requests or self.bytes + length > self.max_bytes:
            return False
        self._by_client.setdefault(request.client, OrderedDict())[request] = None
        self.size += 1
        self.bytes += length
        return True

    def take(self) -> Request:
        """Return the next request; its client goes to the end of the line.

        Raises:
            KeyError: the queue is empty.
        """
        client, requests = self._by_client.popitem(last=False)
        request, _ = requests.popitem(last=False)
        if requests:
            self._by_client[client] = requests
        self._forget(request)
        return request

    def remove(self, request: Request) -> bool:
        """Take that request out; False when it is not here."""
        requests = self._by_client.get(request.client)
        if requests is None or request not in requests:
            return False
        del requests[request]
        if not requests:
            del self._by_client[request.client]
        self._forget(request)
        return True

    def _forget(self, request: Request) -> None:
        self.size -= 1
        self.bytes -= len(request.frame.raw)
