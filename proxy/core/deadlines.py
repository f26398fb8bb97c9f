"""One coarse wheel for the deadlines of all requests: no timer per request.

A request lies in the slot of its deadline; an answer takes it out again, so the wheel holds what is in flight and
nothing more. A deadline fires at most one slot late.
"""

from proxy.core.parties import Request

SLOT_S = 0.025
"""Width of a slot. Finer than any deadline that makes sense, coarse enough to cost nothing when idle."""


class DeadlineWheel:
    """Requests by the time at which they are due."""

    __slots__ = ("_cursor", "_slots")

    def __init__(self, now: float) -> None:
        self._slots: dict[int, set[Request]] = {}
        self._cursor = int(now / SLOT_S)

    def file(self, request: Request, at: float) -> None:
        """Keep the request until `at`, or until `drop`. It may be filed once at a time."""
        index = max(int(at / SLOT_S) + 1, self._cursor + 1)
        slot = self._slots.get(index)
        if slot is None:
            slot = self._slots[index] = set()
        slot.add(request)
        request.slot = slot

    @staticmethod
    def drop(request: Request) -> None:
        """Forget the request; no matter if it is not filed."""
        if request.slot is not None:
            request.slot.discard(request)
            request.slot = None

    def due(self, now: float) -> list[Request]:
        """Return the requests whose time has come, and forget them."""
        target = int(now / SLOT_S)
        fired: list[Request] = []
        if target - self._cursor > len(self._slots):  # a long jump: look at the slots there are, not at every index
            indexes = sorted(index for index in self._slots if index <= target)
        else:
            indexes = list(range(self._cursor + 1, target + 1))
        for index in indexes:
            for request in self._slots.pop(index, ()):
                request.slot = None
                fired.append(request)
        self._cursor = max(self._cursor, target)
        return fired
