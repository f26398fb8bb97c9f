"""Requests that wait for a node below its window: bounded, and fair to partitions and to clients.

Partitions take turns, one request each, and in each partition its clients do: one with 256 waiting requests delays
one with a single request by one turn and not by 256, and a partition with a thousand clients delays one with a
single client no more than that.

Theory. A bound that is the same for all would be an end of that fairness: who fills the queue shuts the others out.
So when it is full, the newest request of whoever has most in it makes room for a newcomer who has less.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import TypeVar

from proxy.core.parties import Client, Request
from proxy.core.settings import Settings


class _Line:
    """The waiting requests of one client."""

    __slots__ = ("bytes", "requests")

    def __init__(self) -> None:
        self.requests: OrderedDict[Request, None] = OrderedDict()
        self.bytes = 0

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.requests)


class _Hall:
    """The lines of one partition."""

    __slots__ = ("bytes", "lines", "size")

    def __init__(self) -> None:
        self.lines: OrderedDict[Client, _Line] = OrderedDict()
        self.size = 0
        self.bytes = 0


_W = TypeVar("_W", _Line, _Hall)


class FairQueue:
    """A queue per client of each partition, served in turn."""

    __slots__ = ("_halls", "_settings", "bytes", "size")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.size = 0
        self.bytes = 0
        self._halls: OrderedDict[int, _Hall] = OrderedDict()

    def __iter__(self) -> Iterator[Request]:
        for hall in self._halls.values():
            for line in hall.lines.values():
                yield from line.requests

    def ahead(self, request: Request) -> int:
        """Return how many requests, at most, are served before this one if it is put now: what waits in all, or as
        many rounds of all partitions and of all clients of its own as it has requests before it."""
        hall = self._halls.get(request.client.principal.partition)
        if hall is None:
            return min(self.size, len(self._halls))
        own = hall.lines.get(request.client)
        rounds = 1 if own is None else own.size + 1
        return min(self.size, rounds * len(hall.lines) * len(self._halls))

    def put(self, request: Request) -> list[Request]:
        """Add the request behind its client's others; return those that found no place, or lost theirs to it."""
        length = len(request.frame.raw)
        limits = self._settings.limits
        out: list[Request] = []
        while self.size >= limits.queue_requests or self.bytes + length > limits.queue_bytes:
            by = "size" if self.size >= limits.queue_requests else "bytes"
            victim = self._heaviest(request, by)
            out.append(victim)
            if victim is request:
                return out
            self.remove(victim)
        hall = self._halls.setdefault(request.client.principal.partition, _Hall())
        line = hall.lines.setdefault(request.client, _Line())
        line.requests[request] = None
        self._count(hall, line, 1, length)
        return out

    def take(self) -> Request:
        """Return the next request; its client and its partition go to the end of their lines.

        Raises:
            KeyError: the queue is empty.
        """
        partition, hall = self._halls.popitem(last=False)
        client, line = hall.lines.popitem(last=False)
        request, _ = line.requests.popitem(last=False)
        if line.requests:
            hall.lines[client] = line
        if hall.lines:
            self._halls[partition] = hall
        self._count(hall, line, -1, -len(request.frame.raw))
        return request

    def remove(self, request: Request) -> bool:
        """Take that request out; False when it is not here."""
        client = request.client
        partition = client.principal.partition
        hall = self._halls.get(partition)
        line = None if hall is None else hall.lines.get(client)
        if hall is None or line is None or request not in line.requests:
            return False
        del line.requests[request]
        if not line.requests:
            del hall.lines[client]
        if not hall.lines:
            del self._halls[partition]
        self._count(hall, line, -1, -len(request.frame.raw))
        return True

    def _heaviest(self, newcomer: Request, by: str) -> Request:
        """Return the newest request of the client that has most, of the partition that has most: the newcomer itself,
        if with it they are its own."""
        client = newcomer.client
        hall = self._halls.get(client.principal.partition)
        own = 1 if by == "size" else len(newcomer.frame.raw)
        fullest = _most(self._halls.values(), by)
        if fullest is None:
            return newcomer  # it is larger than the queue
        if fullest is not hall and own + (0 if hall is None else getattr(hall, by)) >= getattr(fullest, by):
            return newcomer
        line = None if hall is None else hall.lines.get(client)
        longest = _most(fullest.lines.values(), by)
        assert longest is not None, "a partition without lines is not kept"
        if fullest is hall and (
            longest is line or own + (0 if line is None else getattr(line, by)) >= getattr(longest, by)
        ):
            return newcomer
        return next(reversed(longest.requests))

    def _count(self, hall: _Hall, line: _Line, requests: int, length: int) -> None:
        line.bytes += length
        hall.size += requests
        hall.bytes += length
        self.size += requests
        self.bytes += length


def _most(weighed: Iterable[_W], by: str) -> _W | None:
    return max(weighed, key=attrgetter(by), default=None)
