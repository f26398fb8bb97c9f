"""The form of a backup's file, of which docs/backup-file.md speaks: what is read before anything can be authenticated.

A head of 16 bytes, and parts one behind the other: the header, rows, the end. Each part has a MAC that covers the MAC
of the part before it, so no part can be left out, exchanged, repeated or taken from another backup. Nodes make the
MACs and check them; whoever has the file alone can only look whether it has this form.
"""

import hashlib
import struct
from typing import Annotated, Final, NamedTuple

import msgspec

from hsm_wire.forms import U63, Body, Name

MAGIC: Final = b"redoubt backup\n"
FORMAT: Final = 1
HEAD: Final = MAGIC + bytes([FORMAT])
"""What a file begins with."""
PART_HEAD: Final = struct.Struct(">BI")
"""Kind and length of the body; the body and its MAC follow."""
MAC_BYTES: Final = 32
FIRST_MAC: Final = bytes(MAC_BYTES)
"""What stands before the first part."""
MAX_BODY_BYTES: Final = 512 << 10
"""Of one part: it is sent in one frame."""
MAX_PART_ROWS: Final = 256
"""A part is restored by one request: a few seconds where each row waits for other sites."""
FULL_PART_BYTES: Final = 256 << 10
"""A part with so much in it gets no row more: the largest row is smaller than what is left."""
HEADER: Final = 1
ROWS: Final = 2
END: Final = 3
_KINDS: Final = (HEADER, ROWS, END)

Id = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Mac = Annotated[bytes, msgspec.Meta(min_length=MAC_BYTES, max_length=MAC_BYTES)]
WrappedKey = Annotated[bytes, msgspec.Meta(min_length=40, max_length=40)]


class BackupFileError(Exception):
    """It has not the form of a backup; the text says in which way."""


class BackupHeader(Body, frozen=True):
    """The first part: whose backup it is."""

    backup_id: Id
    """At random, so that no two backups have a MAC in common."""
    cluster: Name
    cluster_id: Id
    """Of the store."""
    node: Name
    """That made it."""
    made: U63
    """Seconds since 1970."""
    revision: U63
    """Of the store: its state as of then is in the file."""
    epoch: U63
    master_key: bytes
    """Fingerprint of the master key that the MACs are under."""
    master_key_version: U63
    naming_key: WrappedKey
    """Of the store, wrapped under that master key."""
    digest_key: WrappedKey
    records: U63
    """That are not destroyed, about: how many rows there are is known at the end."""


class BackupRow(Body, frozen=True):
    """One record, as the store has it."""

    name: bytes
    data: bytes


class BackupRows(Body, frozen=True):
    """Parts between: rows in the order of their names."""

    rows: Annotated[list[BackupRow], msgspec.Meta(max_length=MAX_PART_ROWS)]


class BackupEnd(Body, frozen=True):
    """The last part: nothing is behind it."""

    rows: U63
    left_out: U63
    """Records of keys and objects that were not authentic, and so are not in the file."""


class PartHead(NamedTuple):
    """What a part begins with."""

    kind: int
    body_bytes: int

    @property
    def rest_bytes(self) -> int:
        """How many bytes of the part are behind it."""
        return self.body_bytes + MAC_BYTES


def check_head(data: bytes) -> None:
    """Look whether a file is a backup of this format.

    Raises:
        BackupFileError: it is not.
    """
    if data[: len(MAGIC)] != MAGIC or len(data) != len(HEAD):
        raise BackupFileError("it is no backup")
    if data != HEAD:
        raise BackupFileError(f"its format is {data[-1]}, and this version reads {FORMAT}")


def read_part_head(data: bytes) -> PartHead:
    """Return what a part begins with.

    Raises:
        BackupFileError: it begins with something else, or the file ends there.
    """
    if len(data) != PART_HEAD.size:
        raise BackupFileError("it ends too early")
    head = PartHead(*PART_HEAD.unpack(data))
    if head.kind not in _KINDS or head.body_bytes > MAX_BODY_BYTES:
        raise BackupFileError("it is damaged")
    return head


def encode_part(kind: int, body: bytes, mac: bytes) -> bytes:
    """Return a part as it is in the file."""
    return PART_HEAD.pack(kind, len(body)) + body + mac


def authenticated(before: bytes, kind: int, body: bytes) -> bytes:
    """Return what the MAC of a part is made of; `before`: the MAC of the part before it. It is short: a device may make
    the MAC."""
    return HEAD + before + hashlib.sha256(PART_HEAD.pack(kind, len(body)) + body).digest()
