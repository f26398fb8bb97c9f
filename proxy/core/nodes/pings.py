"""The PINGs of one node, over all of its links: in which order they were sent.

Theory: docs/consistency.md, (c). What a node says in a PONG is how it was after the PING was sent. Over two links PONGs
overtake each other, so what counts is the order of the PINGs: their ids are numbers in one row.
"""

from typing import Final

from hsm_wire import kinds
from hsm_wire.frames import encode_frame

MAX_ID: Final = 0xFFFF_FFFF
_HALF: Final = 1 << 31


class Pings:
    """Gives ids, and knows the newest that was answered."""

    __slots__ = ("_answered", "sent")

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self.sent = 0
        """Id of the last one."""
        self._answered = 0

    def next_id(self) -> int:
        """Return the id of a PING that is sent now."""
        self.sent = self.sent % MAX_ID + 1
        return self.sent

    def next(self) -> bytes:
        """Return a PING that is sent now."""
        return ping(self.next_id())

    def is_news(self, ping_id: int) -> bool:
        """Note an answer; whether it tells of a later moment than all before, or of the same."""
        if (self.sent - ping_id) & MAX_ID >= _HALF or (ping_id - self._answered) & MAX_ID >= _HALF:
            return False  # Never asked, or overtaken.
        self._answered = ping_id
        return True


def ping(ping_id: int) -> bytes:
    """Return the frame that asks."""
    return encode_frame(kinds.PING, request_id=ping_id)
