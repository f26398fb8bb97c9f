"""The most recently used keys, unwrapped. Bounded: memory holds no more secrets than are at work."""

from collections import OrderedDict
from typing import Final, Generic, TypeVar

from hsm_node.backends.base import LoadedKey

K = TypeVar("K", bound=LoadedKey)

MAX_LOADED_KEYS: Final = 4096
"""About 10 MB of key objects at worst."""


class LoadedKeys(Generic[K]):
    """Least recently used leaves first. Used on the event loop only, but for `peek`."""

    __slots__ = ("_keys", "limit")

    def __init__(self, limit: int = MAX_LOADED_KEYS) -> None:
        self.limit = limit
        self._keys: OrderedDict[tuple[int, bytes], K] = OrderedDict()

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, place: tuple[int, bytes]) -> K | None:
        """Return a key and make it the most recent, or None."""
        key = self._keys.get(place)
        if key is not None:
            self._keys.move_to_end(place)
        return key

    def peek(self, place: tuple[int, bytes]) -> K | None:
        """Return a key or None, and leave the order alone: that is one look-up, which a thread may do."""
        return self._keys.get(place)

    def put(self, place: tuple[int, bytes], key: K) -> None:
        """Keep a key; the oldest leaves where there are too many."""
        self._keys[place] = key
        if len(self._keys) > self.limit:
            self._keys.popitem(last=False)

    def drop(self, place: tuple[int, bytes]) -> None:
        """Forget a key, if it is here."""
        self._keys.pop(place, None)
