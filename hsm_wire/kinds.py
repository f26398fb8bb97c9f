"""Frame kinds and flags, as the header's bytes 5 and 6-7 carry them."""

from enum import IntEnum, IntFlag


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 1
    WELCOME = 2
    REQUEST = 3
    RESPONSE = 4
    PING = 5
    PONG = 6
    GOAWAY = 7
    CANCEL = 8
    BIND = 9
    UNBIND = 10


class Flag(IntFlag):
    """Bits of the flags field. Legal in a RESPONSE only."""

    NOT_EXECUTED = 1
    """The operation certainly did not run."""
    STALE = 2
    """The node had no contact with its store when it answered."""


# Plain integers for comparisons on the hot path: an IntEnum member costs several times as much.
HELLO = int(Kind.HELLO)
WELCOME = int(Kind.WELCOME)
REQUEST = int(Kind.REQUEST)
RESPONSE = int(Kind.RESPONSE)
PING = int(Kind.PING)
PONG = int(Kind.PONG)
GOAWAY = int(Kind.GOAWAY)
CANCEL = int(Kind.CANCEL)
BIND = int(Kind.BIND)
UNBIND = int(Kind.UNBIND)
KNOWN_FLAGS = int(Flag.NOT_EXECUTED | Flag.STALE)
