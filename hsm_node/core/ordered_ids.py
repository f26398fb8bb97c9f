"""Ids of one partition in their order.

A node that loads a hundred thousand records meets their ids in any order. To put each in its place at once would move
half of the others every time, so what is new waits at the side until somebody asks for the order.
"""

from bisect import bisect_right, insort
from typing import Final

FEW: Final = 128
"""New ids that are put in their places one by one: each takes 10 us among 100,000, where to sort these takes 2 ms."""


class OrderedIds:
    """Each id is in it once; that is the caller's care."""

    __slots__ = ("_new", "_ordered")

    def __init__(self) -> None:
        self._ordered: list[bytes] = []
        self._new: list[bytes] = []

    def __len__(self) -> int:
        return len(self._ordered) + len(self._new)

    def add(self, record_id: bytes) -> None:
        """Take one more."""
        self._new.append(record_id)

    def remove(self, record_id: bytes) -> None:
        """Let go of one that is there."""
        ids = self.settled()
        del ids[bisect_right(ids, record_id) - 1]

    def settled(self) -> list[bytes]:
        """Put what is new in its place, and return all in order. The list is this object's."""
        if len(self._new) > FEW:
            self._ordered += sorted(self._new)
            self._ordered.sort()
        else:
            for record_id in self._new:
                insort(self._ordered, record_id)
        self._new.clear()
        return self._ordered
