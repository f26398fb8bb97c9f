"""What nodes say of their master keys."""

import msgspec
import pytest

from hsm_node.core.envelopes import RecordError
from hsm_node.core.keyring import Keyring
from hsm_node.core.master_keys import (
    MASTER_KEYS_FORMAT,
    PREFIX,
    MasterKeysRecord,
    behind,
    comes_before,
    is_settled,
    lacking,
    open_master_keys,
    resealed_master_keys,
    seal_master_keys,
)

CLUSTER = b"c" * 16
OLD, NEW = b"old12345", b"new12345"


def said(node: str, *held: bytes, used: bytes = OLD, settled: bool = False) -> MasterKeysRecord:
    return MasterKeysRecord(CLUSTER, node, 1, 1, held, used, settled)


def test_what_a_node_says_is_opened_as_it_was_under_its_own_name_only(keyring: Keyring) -> None:
    record = said("node-1", OLD, NEW)
    data = seal_master_keys(record, keyring)
    assert open_master_keys(data, keyring.master_keys_name("node-1"), CLUSTER, keyring) == record
    with pytest.raises(RecordError, match="moved"):
        open_master_keys(data, keyring.master_keys_name("node-2"), CLUSTER, keyring)
    with pytest.raises(RecordError, match="another cluster"):
        open_master_keys(data, keyring.master_keys_name("node-1"), b"x" * 16, keyring)


def test_what_is_no_such_record_is_refused(keyring: Keyring, other_keyring: Keyring) -> None:
    name = keyring.master_keys_name("node-1")
    body = msgspec.msgpack.encode(["node-1"])
    row = msgspec.msgpack.encode([MASTER_KEYS_FORMAT, body, keyring.mac(PREFIX + body)])
    with pytest.raises(RecordError, match="fields"):
        open_master_keys(row, name, CLUSTER, keyring)
    with pytest.raises(RecordError, match="another master key"):
        open_master_keys(seal_master_keys(said("node-1"), other_keyring), name, CLUSTER, keyring)


def test_sealed_once_more_it_says_the_same(keyring: Keyring) -> None:
    keyring.hold(b"n" * 32, 2)
    keyring.use(2)
    data = resealed_master_keys(said("node-1", OLD), keyring)
    keyring.drop(1)
    again = open_master_keys(data, keyring.master_keys_name("node-1"), CLUSTER, keyring)
    assert again == msgspec.structs.replace(said("node-1", OLD), order=2)


def test_a_rotation_waits_for_nodes_that_lack_the_next_key_or_have_said_nothing() -> None:
    nodes = ["node-1", "node-2", "node-3"]
    known = {"node-1": said("node-1", OLD, NEW), "node-2": said("node-2", OLD), "gone": said("gone", OLD)}
    assert lacking(nodes, known, NEW) == ["node-2", "node-3"]
    assert lacking(nodes, known, OLD) == ["node-3"]


def test_what_nodes_hold_says_which_key_is_the_older() -> None:
    known = {"node-1": said("node-1", NEW), "node-2": said("node-2", OLD, NEW)}
    assert comes_before(known, OLD, NEW)
    assert not comes_before(known, NEW, OLD)
    assert not comes_before(known, NEW, NEW)
    assert not comes_before({}, OLD, NEW)


def test_a_rotation_is_not_over_while_a_node_seals_under_the_old_key() -> None:
    nodes = ["node-1", "node-2", "node-3"]
    known = {"node-1": said("node-1", OLD, NEW, used=NEW), "node-2": said("node-2", OLD, NEW)}
    assert behind(nodes, known, NEW) == ["node-2", "node-3"]
    assert not is_settled(known, NEW)
    assert is_settled({**known, "node-3": said("node-3", NEW, used=NEW, settled=True)}, NEW)
    assert not is_settled({"node-3": said("node-3", OLD, settled=True)}, NEW)
