"""Invariant: whatever the store returns, a record that is opened is the one that was sealed under that name, and
everything else is refused with RecordError.

Input: one byte of options, then the bytes of a row; or those of a body that is sealed with the right key, encrypted
before or not (so the forms behind the MAC are reached). Run: see `run.py`.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from hsm_node.core import master_keys, node_states, object_records, offers, records
from hsm_node.core.envelopes import RecordError, format_of, open_envelope, seal_envelope
from hsm_node.core.keyring import Keyring, KeyringError

CLUSTER_ID = b"c" * 16
KEYRING = Keyring(bytes(range(32)))
PLACE = (1, b"k" * 16)
NODE = "node-1"
STATE, AUTHENTIC, ENCRYPTED, OBJECT, MASTER_KEYS, OFFERS = 1, 2, 4, 8, 16, 32
Opener = Callable[[bytes, bytes, bytes, Keyring], Any]


class Kind(NamedTuple):
    """A format of rows."""

    number: int
    prefix: bytes
    encrypted: bool
    record: type[msgspec.Struct]
    name: bytes
    """Of the row that is asked for."""
    open: Opener
    seal: Callable[[Any, Keyring], bytes]
    place: Callable[[Any], object]
    """What a record says of where it belongs."""


def key_kind(number: int) -> Kind:
    name = KEYRING.name(*PLACE)
    prefix, encrypted = records.PREFIXES[number], number == records.RECORD_FORMAT
    return Kind(
        number, prefix, encrypted, records.Record, name, records.open_record, records.seal_record, lambda one: one.place
    )


CLEAR_KEY, KEY = key_kind(records.CLEAR_FORMAT), key_kind(records.RECORD_FORMAT)
NODE_STATE = Kind(
    node_states.NODE_STATE_FORMAT,
    node_states.PREFIX,
    False,
    node_states.NodeStateRecord,
    KEYRING.node_name(NODE),
    node_states.open_node_state,
    node_states.seal_node_state,
    lambda one: one.node,
)
STORED_OBJECT = Kind(
    object_records.OBJECT_FORMAT,
    object_records.PREFIX,
    True,
    object_records.ObjectRecord,
    KEYRING.object_name(*PLACE),
    object_records.open_object,
    object_records.seal_object,
    lambda one: one.place,
)
HELD_KEYS = Kind(
    master_keys.MASTER_KEYS_FORMAT,
    master_keys.PREFIX,
    False,
    master_keys.MasterKeysRecord,
    KEYRING.master_keys_name(NODE),
    master_keys.open_master_keys,
    master_keys.seal_master_keys,
    lambda one: one.node,
)
OFFERED = Kind(
    offers.OFFERS_FORMAT,
    offers.PREFIX,
    False,
    offers.OffersRecord,
    KEYRING.offers_name(NODE),
    offers.open_offers,
    offers.seal_offers,
    lambda one: one.node,
)


def kind_of(options: int) -> Kind:
    """Return the kind of rows that an input is about."""
    for bit, kind in (
        (STATE, NODE_STATE),
        (OBJECT, STORED_OBJECT),
        (MASTER_KEYS, HELD_KEYS),
        (OFFERS, OFFERED),
        (ENCRYPTED, KEY),
    ):
        if options & bit:
            return kind
    return CLEAR_KEY


def opened(row: bytes, kind: Kind) -> Any:
    return kind.open(row, kind.name, CLUSTER_ID, KEYRING)


def one(data: bytes, opener: Callable[[bytes, Kind], Any] = opened) -> None:
    """Check one input; `opener` is there for the negative control."""
    if not data:
        return
    options, row = data[0], data[1:]
    kind = kind_of(options)
    if options & AUTHENTIC:
        # An object's body in clear, under a right MAC, is what no node writes; it is decrypted all the same.
        encrypt = kind.encrypted and (kind is not STORED_OBJECT or options & ENCRYPTED)
        body = KEYRING.encrypt(row) if encrypt else row
        row = seal_envelope(kind.number, kind.prefix, body, KEYRING)
        assert open_envelope({kind.number: kind.prefix}, row, KEYRING).body == body, "a sealed body is read otherwise"
    format_of(row)
    try:
        record = opener(row, kind)
    except RecordError:
        return
    assert options & AUTHENTIC, "bytes that nobody sealed are taken for a record"
    repr(record)
    assert kind.place(record) in (PLACE, NODE), "a record of another name"
    try:
        sealed = kind.seal(record, KEYRING)
    except KeyringError:  # It has material of a master key that is not held: only who has that can have written it.
        return
    again = opener(sealed, kind)
    assert msgspec.structs.astuple(again) == msgspec.structs.astuple(record)


if __name__ == "__main__":
    import run

    run.inside("records", sys.argv[1:])
