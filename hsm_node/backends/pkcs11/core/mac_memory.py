"""MACs that a device has made a moment ago: what a thread has asked for, the event loop need not wait for again."""

from collections import OrderedDict
from hashlib import sha256
from typing import Final

MAX_REMEMBERED: Final = 8_192
"""MACs: 1.5 MB. More than are asked for at once, see `arrived_rows`, and what the writers have under way."""


class MacMemory:
    """The least recently used leaves first. A message is known by its hash, as it may be long.

    Not for several threads: whoever owns it has the lock.
    """

    def __init__(self, limit: int = MAX_REMEMBERED) -> None:
        self._limit = limit
        self._macs: OrderedDict[bytes, bytes] = OrderedDict()

    def __repr__(self) -> str:
        return f"MacMemory({len(self._macs)})"

    def get(self, message: bytes) -> bytes | None:
        """Return the MAC of a message, or None."""
        digest = sha256(message).digest()
        mac = self._macs.get(digest)
        if mac is not None:
            self._macs.move_to_end(digest)
        return mac

    def put(self, message: bytes, mac: bytes) -> None:
        """Remember one more."""
        self._macs[sha256(message).digest()] = mac
        if len(self._macs) > self._limit:
            self._macs.popitem(last=False)
