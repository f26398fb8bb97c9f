"""One coarse wheel for the times of all requests: no timer per request.

A request lies in the slot of its next time (of its attempt, or its deadline); an answer takes it out again, so the
wheel holds what is in flight and nothing more. A time fires at most one slot late.
"""

from typing import Final

from proxy.core.parties import Owed, Request

SLOT_S: Final = 0.025
"""Width of a slot. Finer than any deadline that makes sense, coarse enough to cost nothing when idle."""


class DeadlineWheel:
    """Requests, and answers owed, by the time at which they are due. Slots keep the order in which they were filled,
    so that a run with the same events is the same run."""

    __slots__ = ("_cursor", "_last", "_last_index", "_slots")

    def __init__(self, now: float) -> None:
        self._slots: dict[int, dict[Request | Owed, None]] = {}
        self._cursor = int(now / SLOT_S)
        self._last: dict[Request | Owed, None] = {}
        self._last_index = self._cursor
        """The slot that was filled last: the next entry of the same read is nearly always due in the same."""

    def file(self, entry: Request | Owed, at: float) -> None:
        """Keep the entry until `at`, or until `drop`; it leaves the slot that it was in."""
        if entry.slot is not None:
            del entry.slot[entry]
        index = int(at / SLOT_S) + 1
        if index <= self._cursor:
            index = self._cursor + 1
        if index != self._last_index:
            slot = self._slots.get(index)
            if slot is None:
                slot = self._slots[index] = {}
            self._last = slot
            self._last_index = index
        slot = self._last
        slot[entry] = None
        entry.slot = slot

    @staticmethod
    def drop(entry: Request | Owed) -> None:
        """Forget the entry; no matter if it is not filed."""
        slot = entry.slot
        if slot is not None:
            del slot[entry]
            entry.slot = None

    def due(self, now: float) -> list[Request | Owed]:
        """Return the entries whose time has come, and forget them."""
        target = int(now / SLOT_S)
        fired: list[Request | Owed] = []
        if target - self._cursor > len(self._slots):  # a long jump: look at the slots there are, not at every index
            indexes = sorted(index for index in self._slots if index <= target)
        else:
            indexes = list(range(self._cursor + 1, target + 1))
        for index in indexes:
            for entry in self._slots.pop(index, ()):
                entry.slot = None
                fired.append(entry)
        self._cursor = max(self._cursor, target)
        return fired
