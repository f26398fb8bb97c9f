"""How often the keys of one partition may be generated, through all proxies together: so many a second, with a burst.

Theory. A level rises by one with each generation and sinks by the rate; while it is above the burst less one, nothing
is let through. What this proxy lets through raises it at once. What others let through raises it when a node tells
that the keys were made, so the level may rise above the burst, and then it has to sink below it again: on the mean the
rate is kept whatever the proxies knew of one another.

What this proxy let through is told by the nodes as well, and must not be counted twice. So as many keys as it has
under way, or has answered lately, are taken for its own when nodes tell of them. What nodes have not told within
`FORGET_MS` will not be told: they were killed before they wrote it down.

Of what a node tells after a longer silence, or when it is first asked, nobody knows when it was made: ten minutes of
keys within the rate must not look like a burst of now, or a proxy that was restarted would let none through for as
long. So it raises the level to the burst at most: nothing is saved up, and nothing has to sink again.

Time is in whole milliseconds and the level in thousandths of a generation, so that there is nothing to round: a rate of
r a second is r thousandths a millisecond.
"""

from collections import deque
from typing import Final

ONE: Final = 1000
"""A generation, as the level has it."""
FORGET_MS: Final = 5_000
"""Nodes tell every second; this is how long it may take them to do it twice."""
MAX_DEBT: Final = 60 * ONE
"""Most by which the level is above the burst: a dozen proxies that let a burst through at once. What parts of a cluster
that were cut from each other had made meanwhile is told all at once, and would let none through for as long again."""


class GenerationRate:
    """The level of one partition."""

    __slots__ = ("_at_ms", "_burst", "_done", "_early", "_level", "_rate", "_under_way")

    def __init__(self, rate: int, burst: int, now_ms: int) -> None:
        """Begin with nothing saved up: whoever restarts proxies must not have a burst for each time.

        Args:
            rate: generations a second.
            burst: generations at once after a quiet time.
            now_ms: the time.
        """
        self._rate = rate
        self._burst = burst * ONE
        self._level = self._burst
        self._at_ms = now_ms
        self._under_way = 0
        """Let through here and not answered yet."""
        self._early = 0
        """Of these, keys that nodes have told of before they were answered here."""
        self._done: deque[int] = deque()
        """When each key was answered here that nodes have not told of yet."""

    def take(self, now_ms: int) -> int:
        """Let one through and return 0, or return how many milliseconds there are until it can be."""
        self._sink(now_ms)
        above = self._level + ONE - self._burst
        if above > 0:
            return -(-above // self._rate)
        self._level += ONE
        self._under_way += 1
        return 0

    def settle(self, now_ms: int, *, made: bool) -> None:
        """Note the end of one that was let through; `made`: a key may have been made for it."""
        self._sink(now_ms)
        if not self._under_way:  # It was let through before a reload gave the partition another rate.
            return
        self._under_way -= 1
        if not made:
            self._level = max(0, self._level - ONE)
            self._early = min(self._early, self._under_way)
        elif self._early:
            self._early -= 1
        else:
            self._done.append(now_ms)

    def told(self, count: int, now_ms: int, *, lately: bool = True) -> None:
        """Take what a node tells: so many keys were made, through whichever proxy; not `lately`: nobody knows when."""
        self._sink(now_ms)
        while count and self._done:
            self._done.popleft()
            count -= 1
        own = min(count, self._under_way - self._early)
        self._early += own
        raised = self._level + (count - own) * ONE
        self._level = max(self._level, min(raised, self._burst + (MAX_DEBT if lately else 0)))

    def _sink(self, now_ms: int) -> None:
        passed = now_ms - self._at_ms
        if passed > 0:
            self._level = max(0, self._level - passed * self._rate)
            self._at_ms = now_ms
        while self._done and self._done[0] < now_ms - FORGET_MS:
            self._done.popleft()
