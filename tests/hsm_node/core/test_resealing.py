"""Every kind of row under another master key."""

from collections.abc import Callable

import pytest

from hsm_node.core.envelopes import RecordError, format_of
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import Origin
from hsm_node.core.master_keys import MasterKeysRecord, seal_master_keys
from hsm_node.core.node_states import next_node_state, open_node_state, seal_node_state
from hsm_node.core.object_lifecycle import new_object
from hsm_node.core.object_records import open_object, seal_object
from hsm_node.core.offers import OffersRecord, seal_offers
from hsm_node.core.records import Record, open_record, seal_record
from hsm_node.core.resealing import FORMATS, resealed, sealed_version
from hsm_wire.objects import CreateObject

CLUSTER = b"c" * 16


def rows(keyring: Keyring, record: Record) -> dict[bytes, bytes]:
    """Return one row of each kind by its name."""
    state = next_node_state(None, CLUSTER, 1, "node-1", "drain", b"m")
    keys = MasterKeysRecord(CLUSTER, "node-1", 1, 1, (b"old12345",), b"old12345", False)
    offers = OffersRecord(CLUSTER, "node-1", 1, 1, ((1, 1),), ("ec-p256",))
    stored = new_object(CreateObject(b"o" * 16, "data", b"v", "l"), Origin(CLUSTER, 1, 1, 1000), b"d" * 32)
    return {
        keyring.name(1, record.key_id): seal_record(record, keyring),
        keyring.node_name("node-1"): seal_node_state(state, keyring),
        keyring.object_name(*stored.place): seal_object(stored, keyring),
        keyring.master_keys_name("node-1"): seal_master_keys(keys, keyring),
        keyring.offers_name("node-1"): seal_offers(offers, keyring),
    }


def test_each_kind_of_row_can_be_put_under_another_master_key(
    keyring: Keyring, make_record: Callable[..., Record]
) -> None:
    before = rows(keyring, make_record())
    keyring.hold(b"n" * 32, 2)
    keyring.use(2)
    after = {name: resealed(data, name, CLUSTER, keyring) for name, data in before.items()}
    assert {sealed_version(data, keyring) for data in before.values()} == {1}
    assert {sealed_version(data, keyring) for data in after.values()} == {2}
    assert {format_of(data) for data in after.values()} <= FORMATS
    keyring.drop(1)
    key, state, stored, *_ = after.items()
    assert open_record(key[1], key[0], CLUSTER, keyring).order == 2
    assert open_node_state(state[1], state[0], CLUSTER, keyring).order == 2
    again = open_object(stored[1], stored[0], CLUSTER, keyring)
    assert (again.version, again.order, again.value) == (1, 2, b"v")


def test_what_is_not_authentic_is_not_laundered(keyring: Keyring, make_record: Callable[..., Record]) -> None:
    name, data = next(iter(rows(keyring, make_record()).items()))
    for bad, where in ((data[:-1] + bytes([data[-1] ^ 1]), name), (data, b"n" * 32), (b"", name), (b"\x93\x70", name)):
        with pytest.raises(RecordError):
            resealed(bad, where, CLUSTER, keyring)
