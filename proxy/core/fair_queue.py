"""Requests that wait for a node below its window: bounded, and fair to partitions and to clients.

Partitions take turns, one request each, and in each partition its clients do: one with 256 waiting requests delays
one with a single request by one turn and not by 256, and a partition with a thousand clients delays one with a
single client no more than that.
"""

from collections import OrderedDict
from collections.abc import Iterator

from proxy.core.parties import Client, Request
from proxy.core.settings import Settings

_Requests = OrderedDict[Request, None]
_Clients = OrderedDict[Client, _Requests]


class FairQueue:
    """A queue per client of each partition, served in turn."""

    __slots__ = ("_by_partition", "_settings", "bytes", "size")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.size = 0
        self.bytes = 0
        self._by_partition: OrderedDict[int, _Clients] = OrderedDict()

    def __iter__(self) -> Iterator[Request]:
        for clients in self._by_partition.values():
            for requests in clients.values():
                yield from requests

    def ahead(self, request: Request) -> int:
        """Return how many requests, at most, are served before this one if it is put now: what waits in all, or as
        many rounds of all partitions and of all clients of its own as it has requests before it."""
        clients = self._by_partition.get(request.client.principal.partition)
        if clients is None:
            return min(self.size, len(self._by_partition))
        own = clients.get(request.client)
        rounds = 1 if own is None else len(own) + 1
        return min(self.size, rounds * len(clients) * len(self._by_partition))

    def put(self, request: Request) -> bool:
        """Add the request behind its client's others; False when the queue is full."""
        length = len(request.frame.raw)
        limits = self._settings.limits
        if self.size >= limits.queue_requests or self.bytes + length > limits.queue_bytes:
            return False
        client = request.client
        clients = self._by_partition.setdefault(client.principal.partition, OrderedDict())
        clients.setdefault(client, OrderedDict())[request] = None
        self.size += 1
        self.bytes += length
        return True

    def take(self) -> Request:
        """Return the next request; its client and its partition go to the end of their lines.

        Raises:
            KeyError: the queue is empty.
        """
        partition, clients = self._by_partition.popitem(last=False)
        client, requests = clients.popitem(last=False)
        request, _ = requests.popitem(last=False)
        if requests:
            clients[client] = requests
        if clients:
            self._by_partition[partition] = clients
        self._forget(request)
        return request

    def remove(self, request: Request) -> bool:
        """Take that request out; False when it is not here."""
        client = request.client
        partition = client.principal.partition
        clients = self._by_partition.get(partition)
        requests = None if clients is None else clients.get(client)
        if clients is None or requests is None or request not in requests:
            return False
        del requests[request]
        if not requests:
            del clients[client]
        if not clients:
            del self._by_partition[partition]
        self._forget(request)
        return True

    def _forget(self, request: Request) -> None:
        self.size -= 1
        self.bytes -= len(request.frame.raw)
