"""Keys and objects that are no more, in as few bytes as will do: they are kept for ever, and there are more of them
every day.

A tombstone's id is used up. What is asked of it: which version it is (an older record of the store must not bring it
back), which request made it, and which one destroyed it (either may be sent again). The rest is in the store.

Entries lie one behind the other in buckets of bytes: 94 bytes each, where a dictionary takes four times that, in pieces
that keep the heap from shrinking. A bucket is searched by partition and id; the bucket is chosen by a hash that nobody
outside of this process knows, for ids are the clients' choice.
"""

import struct
from typing import Final, NamedTuple

from hsm_node.core.keyring import CHANGE_MARK_BYTES
from hsm_wire.limits import MAX_KEY_ID_BYTES

BUCKETS: Final = 1024
"""100 entries in each for 100,000 tombstones: half a microsecond to search."""
_DIGEST_BYTES: Final = 32
_PLACE: Final = struct.Struct(f">I{MAX_KEY_ID_BYTES}s")
_REST: Final = struct.Struct(f">QQQBB{_DIGEST_BYTES}s{CHANGE_MARK_BYTES}s")
"""Version, order, revision, length of the digest and of the mark, digest, mark."""
_ENTRY_BYTES: Final = _PLACE.size + _REST.size

Place = tuple[int, bytes]
"""Partition and id."""


class Buried(NamedTuple):
    """What is kept of a record."""

    version: int
    order: int
    """How often the record was written."""
    revision: int
    """Of its row."""
    creation_digest: bytes
    mark: bytes
    """Of the last change; empty = none."""

    @property
    def changes(self) -> tuple[bytes, ...]:
        """The marks that are left."""
        return (self.mark,) if self.mark else ()


class Tombstones:
    """By partition and id."""

    __slots__ = ("_buckets", "_count")

    def __init__(self) -> None:
        self._buckets: list[bytearray | None] = [None] * BUCKETS
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, place: Place, buried: Buried) -> None:
        """Keep what is left of a record."""
        entry = _PLACE.pack(*place) + _rest(buried)
        number, at = self._find(place)
        bucket = self._buckets[number]
        if bucket is None:
            bucket = self._buckets[number] = bytearray()
        if at < 0:
            bucket += entry
            self._count += 1
        else:
            bucket[at : at + _ENTRY_BYTES] = entry

    def get(self, place: Place) -> Buried | None:
        """Return what is left of a record; None where it lives or never did."""
        number, at = self._find(place)
        bucket = self._buckets[number]
        if bucket is None or at < 0:
            return None
        version, order, revision, digest_bytes, mark_bytes, digest, mark = _REST.unpack_from(bucket, at + _PLACE.size)
        return Buried(version, order, revision, digest[:digest_bytes], mark[:mark_bytes])

    def order(self, place: Place) -> int:
        """Return how often the record of a tombstone was written; 0 where there is none."""
        number, at = self._find(place)
        bucket = self._buckets[number]
        return 0 if bucket is None or at < 0 else int(_REST.unpack_from(bucket, at + _PLACE.size)[1])

    def drop(self, place: Place) -> None:
        """Forget one, if it is here: its record in the store is not authentic any more."""
        number, at = self._find(place)
        bucket = self._buckets[number]
        if bucket is not None and at >= 0:
            del bucket[at : at + _ENTRY_BYTES]
            self._count -= 1

    def _find(self, place: Place) -> tuple[int, int]:
        """Return the number of its bucket, and where in it the entry begins; -1 where there is none."""
        number = hash(place[1]) % BUCKETS
        bucket = self._buckets[number]
        if bucket is None:
            return number, -1
        packed = _PLACE.pack(*place)
        at = bucket.find(packed)
        while at >= 0 and at % _ENTRY_BYTES:  # the same bytes across two entries
            at = bucket.find(packed, at + 1)
        return number, at


def _rest(buried: Buried) -> bytes:
    digest, mark = buried.creation_digest, buried.mark
    return _REST.pack(buried.version, buried.order, buried.revision, len(digest), len(mark), digest, mark)
