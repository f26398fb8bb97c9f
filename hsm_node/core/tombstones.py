"""Keys that are no more, in as few bytes as will do: they are kept for ever, and there are more of them every day.

A tombstone's id is used up. What is asked of it: which version it is (an older record of the store must not bring the
key back), which request made the key, and which one destroyed it (either may be sent again). The rest is in the store.
"""

import struct

from hsm_node.core.records import Record
from hsm_wire.messages import Policy

_HEAD = struct.Struct(">QQQB")
_NOTHING = Policy()


class Tombstones:
    """By partition and id."""

    __slots__ = ("_packed",)

    def __init__(self) -> None:
        self._packed: dict[tuple[int, bytes], bytes] = {}

    def __len__(self) -> int:
        return len(self._packed)

    def put(self, record: Record, revision: int) -> None:
        """Keep a destroyed key."""
        last = record.changes[-1] if record.changes else b""
        head = _HEAD.pack(record.version, record.order, revision, len(record.creation_digest))
        self._packed[record.partition, record.key_id] = head + record.creation_digest + last

    def get(self, place: tuple[int, bytes]) -> tuple[Record, int] | None:
        """Return what is left of its record, and its revision; None where the key lives or never did."""
        packed = self._packed.get(place)
        if packed is None:
            return None
        version, order, revision, length = _HEAD.unpack_from(packed)
        digest = packed[_HEAD.size : _HEAD.size + length]
        last = packed[_HEAD.size + length :]
        partition, key_id = place
        return (
            Record(
                cluster_id=b"",
                partition=partition,
                key_id=key_id,
                version=version,
                epoch=0,
                master_key_version=0,
                key_type="",
                true_length=0,
                label="",
                usage=0,
                enabled=False,
                destroyed=True,
                created=0,
                origin="",
                public_key=b"",
                policy=_NOTHING,
                creation_digest=digest,
                changes=(last,) if last else (),
                wrapped=b"",
                sequence=order,
            ),
            revision,
        )

    def order(self, place: tuple[int, bytes]) -> int:
        """Return how often the record of a tombstone was written; 0 where there is none."""
        packed = self._packed.get(place)
        return 0 if packed is None else int(_HEAD.unpack_from(packed)[1])

    def drop(self, place: tuple[int, bytes]) -> None:
        """Forget one, if it is here: its record in the store is not authentic any more."""
        self._packed.pop(place, None)
