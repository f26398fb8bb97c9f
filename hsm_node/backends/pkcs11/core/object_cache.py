"""Which session objects a device holds: bounded, the least recently used leaves first, and none that is at work.

How many a device takes is found out: where it has no room for one more, that many are the limit from then on.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

MAX_OBJECTS: Final = 1024
"""Session objects at most, where the device itself sets no lower limit: about a kilobyte each in SoftHSM2."""


class Cached:
    """A session object, and how many calls use it now."""

    __slots__ = ("handle", "users")

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.users = 0


class ObjectCache:
    """Not for several threads: whoever owns it has the lock."""

    def __init__(self, limit: int = MAX_OBJECTS) -> None:
        self.limit = limit
        self._objects: OrderedDict[Hashable, Cached] = OrderedDict()

    def __len__(self) -> int:
        return len(self._objects)

    def take(self, key: Hashable) -> Cached | None:
        """Return an object to use it, or None. Who takes it gives it back."""
        cached = self._objects.get(key)
        if cached is not None:
            self._objects.move_to_end(key)
            cached.users += 1
        return cached

    def put(self, key: Hashable, handle: int) -> Cached:
        """Hold a new object, and take it."""
        cached = self._objects[key] = Cached(handle)
        cached.users = 1
        return cached

    def give_back(self, cached: Cached) -> None:
        """Say that a call has ended."""
        cached.users -= 1

    def surplus(self, room_for: int = 1) -> list[int]:
        """Forget objects until there is room for that many more, and return their handles, to be destroyed. Those at
        work stay, so there may be less room than was asked for."""
        over = len(self._objects) + room_for - self.limit
        idle = [key for key, cached in self._objects.items() if not cached.users] if over > 0 else []
        return [self._objects.pop(key).handle for key in idle[:over]]

    def full(self) -> list[int]:
        """The device has no room: keep to fewer objects than there are, and return the handles to destroy."""
        self.limit = max(1, len(self._objects))
        return self.surplus()

    def drop(self, key: Hashable) -> list[int]:
        """Forget one object; return its handle, if it was here."""
        cached = self._objects.pop(key, None)
        return [] if cached is None else [cached.handle]

    def clear(self) -> None:
        """Forget all: the session that made them is gone, and they with it."""
        self._objects.clear()
