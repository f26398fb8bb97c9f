"""Invariant: whatever the store returns, a record that is opened is the one that was sealed under that name, and
everything else is refused with RecordError.

Input: one byte of options, then the bytes of a row; or those of a body that is sealed with the right key, encrypted
before or not (so the forms behind the MAC are reached). Run: see `run.py`.
"""

import sys
from collections.abc import Callable

import msgspec

from hsm_node.core.envelopes import RecordError, format_of, open_envelope, seal_envelope
from hsm_node.core.keyring import Keyring
from hsm_node.core.node_states import NodeStateRecord, open_node_state, seal_node_state
from hsm_node.core.records import CLEAR_FORMAT, PREFIXES, RECORD_FORMAT, Record, open_record, seal_record

CLUSTER_ID = b"c" * 16
KEYRING = Keyring(bytes(range(32)))
KEY_NAME = KEYRING.name(1, b"k" * 16)
NODE_NAME = KEYRING.node_name("node-1")
NODE_PREFIX = b"redoubt node state\x01"
STATE, AUTHENTIC, ENCRYPTED = 1, 2, 4


def opened(row: bytes, *, state: bool) -> Record | NodeStateRecord:
    if state:
        return open_node_state(row, NODE_NAME, CLUSTER_ID, KEYRING)
    return open_record(row, KEY_NAME, CLUSTER_ID, KEYRING)


def one(data: bytes, opener: Callable[..., Record | NodeStateRecord] = opened) -> None:
    """Check one input; `opener` is there for the negative control."""
    if not data:
        return
    options, row = data[0], data[1:]
    state = bool(options & STATE)
    key_format = RECORD_FORMAT if options & ENCRYPTED else CLEAR_FORMAT
    number, prefix = (2, NODE_PREFIX) if state else (key_format, PREFIXES[key_format])
    if options & AUTHENTIC:
        body = KEYRING.encrypt(row) if number == RECORD_FORMAT else row
        row = seal_envelope(number, prefix, body, KEYRING)
        assert open_envelope({number: prefix}, row, KEYRING).body == body, "a sealed body is read as another one"
    format_of(row)
    try:
        record = opener(row, state=state)
    except RecordError:
        return
    assert options & AUTHENTIC, "bytes that nobody sealed are taken for a record"
    repr(record)
    if isinstance(record, Record):
        assert (record.partition, record.key_id) == (1, b"k" * 16), "a record of another name"
        again: bytes = seal_record(record, KEYRING)
    else:
        assert record.node == "node-1", "a record of another name"
        again = seal_node_state(record, KEYRING)
    assert msgspec.structs.astuple(opener(again, state=state)) == msgspec.structs.astuple(record)


if __name__ == "__main__":
    import run

    run.inside("records", sys.argv[1:])
