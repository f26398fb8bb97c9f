"""What a parent and its workers say to each other: MessagePack behind a length, over a pair of sockets.

Both are of one program, so nothing here is kept compatible: a worker that is started from another version than its
parent says so in `Serving`, and the parent's log says what to do.
"""

from typing import Final

import msgspec

from hsm_wire.messages import EventReport
from proxy.config import Sources
from proxy.workers.loads import Load

LENGTH_BYTES: Final = 4
MAX_MESSAGE_BYTES: Final = 16 << 20
"""One whole configuration (two files of 1 MiB), or all figures of a proxy with thousands of partitions."""


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of all of them."""


# ---- of the parent


class Begin(Message, frozen=True, tag=1):
    """The first one: who this worker is, and what it is to run with."""

    number: int
    of: int
    age_s: float
    """For how long the proxy has run."""
    succeeds: bool
    """Another process serves on the same socket, or did: look for nodes before clients are taken."""
    started: Sources
    """What the files held when the parent started: settings that take a restart are those."""
    current: Sources
    """What they held when they were last taken over."""
    events: list[EventReport]


class Happened(Message, frozen=True, tag=2):
    """An event, with its number."""

    event: EventReport


class Others(Message, frozen=True, tag=3):
    """How the other workers that serve are."""

    fewest: int | None
    """Connections of the one that has fewest; None: there is no other one."""
    has_room: bool
    """One of them takes more."""


class Loads(Message, frozen=True, tag=4):
    """What the other workers do."""

    loads: list[Load]


class Hint(Message, frozen=True, tag=5):
    """Another worker has seen a state of that node change."""

    node: str


class Ask(Message, frozen=True, tag=6):
    """A page is wanted."""

    number: int
    path: str


class Reload(Message, frozen=True, tag=7):
    """Take over that configuration."""

    sources: Sources | None
    """None: a newer one has a fault, and this goes on with what it has."""


class Leave(Message, frozen=True, tag=8):
    """Send the clients away, finish what is in flight, end."""


# ---- of a worker


class Beat(Message, frozen=True, tag=20):
    """It lives."""

    clients: int
    has_room: bool
    unready: str
    """Why no client should be sent to it; empty while it serves."""
    rotation: int
    """Nodes in rotation."""


class Serving(Message, frozen=True, tag=21):
    """It takes clients from now on."""

    version: str


class Told(Message, frozen=True, tag=22):
    """Something happened."""

    at: float
    severity: str
    what: str
    site: str
    node: str


class Changed(Message, frozen=True, tag=23):
    """A state of that node has changed."""

    node: str


class Page(Message, frozen=True, tag=24):
    """The page that was asked for."""

    number: int
    status: int
    content_type: str
    body: bytes


class Doing(Message, frozen=True, tag=25):
    """What it does."""

    load: Load


class Reloaded(Message, frozen=True, tag=26):
    """It has taken over what `Reload` brought, or not."""

    fault: str
    """Empty: it has."""


FromParent = Begin | Happened | Others | Loads | Hint | Ask | Reload | Leave
FromWorker = Beat | Serving | Told | Changed | Page | Doing | Reloaded
_encoder: Final = msgspec.msgpack.Encoder()


class MalformedError(Exception):
    """What came is no message: the other end is not what it should be."""


def encode(message: Message) -> bytes:
    """Return a message as it is sent."""
    body = _encoder.encode(message)
    if len(body) > MAX_MESSAGE_BYTES:
        raise ValueError(f"a {type(message).__name__} of {len(body)} bytes is above {MAX_MESSAGE_BYTES}")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


class Splitter:
    """Bytes -> bodies of messages, however they were cut."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def split(self, data: bytes) -> list[bytes]:
        """Return the bodies that are whole by now.

        Raises:
            MalformedError: one is longer than any message may be.
        """
        rest = self._rest
        rest += data
        found = []
        while len(rest) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(rest[:LENGTH_BYTES], "big")
            if end - LENGTH_BYTES > MAX_MESSAGE_BYTES:
                raise MalformedError("a message is longer than it may be")
            if len(rest) < end:
                break
            found.append(bytes(rest[LENGTH_BYTES:end]))
            del rest[:end]
        return found
