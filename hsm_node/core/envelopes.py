"""The outer form of every row: (format, body, MAC). The bytes that are authenticated are the bytes that are stored.

A format's number says what the body is; a prefix of its own keeps the formats apart under one MAC key, so that no row
can be passed off as one of another format.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from hsm_node.core.keyring import Keyring


class Reason(StrEnum):
    """Why a row is refused: the label of the metric."""

    MALFORMED = "malformed"
    CHANGED = "changed"
    FORMAT = "format"
    CLUSTER = "cluster"
    MOVED = "moved"
    OLDER = "older"
    MISSING = "missing"


class RecordError(Exception):
    """A stored record that must not be used; the text is for the log."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Opened(NamedTuple):
    """What an authentic envelope holds."""

    format: int
    body: bytes
    version: int
    """Of the master key that it was sealed under."""


class Unsealed(NamedTuple):
    """A row without its MAC, which a device may have to make: `seal` runs in any thread, what made this on the loop."""

    format: int
    prefix: bytes
    body: bytes
    version: int
    """Of the master key under which the body is encrypted, if it is."""

    def __repr__(self) -> str:
        return f"Unsealed({self.format}, <secret>)"


class _Envelope(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    format: int
    body: bytes
    mac: bytes


MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for bytes that are not the form that is asked for."""

_ARRAY_OF_THREE: Final = 0x93
_LARGEST_SHORT: Final = 0x7F
"""MessagePack: the first byte of an envelope, and the largest number that is its own byte. Formats stay below it."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Envelope)


def seal_envelope(number: int, prefix: bytes, body: bytes, keyring: Keyring) -> bytes:
    """Return a body with its format's number and its MAC."""
    return seal(Unsealed(number, prefix, body, keyring.version), keyring)


def seal(unsealed: Unsealed, keyring: Keyring) -> bytes:
    """Return the bytes to store."""
    number, prefix, body, version = unsealed
    return _encoder.encode(_Envelope(number, body, keyring.mac(prefix + body, version)))


def authenticated(prefixes: Mapping[int, bytes], data: bytes) -> bytes:
    """Return what a row's MAC goes over; nothing for what is no row of these formats."""
    try:
        envelope = _decoder.decode(data)
    except MALFORMED:
        return b""
    prefix = prefixes.get(envelope.format)
    return b"" if prefix is None else prefix + envelope.body


def format_of(data: bytes) -> int:
    """Return the number of the format, 0 for what is no envelope. Nothing is authenticated by this."""
    return data[1] if len(data) > 1 and data[0] == _ARRAY_OF_THREE and data[1] <= _LARGEST_SHORT else 0


def open_envelope(prefixes: Mapping[int, bytes], data: bytes, keyring: Keyring) -> Opened:
    """Return what an authentic envelope of one of these formats holds.

    Args:
        prefixes: format's number -> its prefix.
        data: the row's bytes.
        keyring: of this node.

    Raises:
        RecordError: it is of another format, was changed, or made under another master key.
    """
    try:
        envelope = _decoder.decode(data)
    except MALFORMED:
        raise RecordError(Reason.MALFORMED, "it is not a record") from None
    prefix = prefixes.get(envelope.format)
    if prefix is None:
        raise RecordError(Reason.FORMAT, f"its format {envelope.format} is unknown to this version")
    version = keyring.mac_version(prefix + envelope.body, envelope.mac)
    if not version:
        raise RecordError(Reason.CHANGED, "it was changed, or made under another master key")
    return Opened(envelope.format, envelope.body, version)


def check_place(found_cluster_id: bytes, cluster_id: bytes, right_name: bytes, name: bytes) -> None:
    """Refuse an authentic record that is not where it belongs.

    Args:
        found_cluster_id: that the record states.
        cluster_id: of the store.
        right_name: that the store has for what the record is about.
        name: under which it was found.

    Raises:
        RecordError: it belongs to another cluster, or was moved.
    """
    if found_cluster_id != cluster_id:
        raise RecordError(Reason.CLUSTER, "it belongs to another cluster")
    if right_name != name:
        raise RecordError(Reason.MOVED, "it was moved here from another name")
