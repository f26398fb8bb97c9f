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
    """Bits of the flags field: the first two are a RESPONSE's, the others a REQUEST's, of which one may be set."""

    NOT_EXECUTED = 1
    """RESPONSE: the operation certainly did not run."""
    STALE = 2
    """RESPONSE: the node had no contact with its store when it answered."""
    DURABLE_QUORUM = 4
    """REQUEST: the answer waits for nothing at the DR site, whatever the cluster's rule is."""
    DURABLE_DR = 8
    """REQUEST: OK waits until the DR site has what was made or changed, whatever the cluster's rule is."""


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
DURABLE_DR = int(Flag.DURABLE_DR)
RESPONSE_FLAGS = int(Flag.NOT_EXECUTED | Flag.STALE)
REQUEST_FLAGS = int(Flag.DURABLE_QUORUM | Flag.DURABLE_DR)
