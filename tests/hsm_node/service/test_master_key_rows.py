"""Rows of what nodes say of their master keys."""

import pytest

from hsm_node.core.envelopes import RecordError
from hsm_node.core.keyring import Keyring
from hsm_node.core.master_keys import MASTER_KEYS_FORMAT, MasterKeysRecord, seal_master_keys
from hsm_node.service.master_key_rows import MasterKeyRows
from hsm_node.store.base import Row

CLUSTER = b"c" * 16


def test_what_a_node_says_is_under_its_own_name_only(keyring: Keyring) -> None:
    kind = MasterKeyRows(keyring, CLUSTER)
    record = MasterKeysRecord(CLUSTER, "node-1", 1, 1, keyring.fingerprints, keyring.fingerprint(), False)
    data = seal_master_keys(record, keyring)
    row = Row(keyring.master_keys_name("node-1"), 3, data)
    kind.take(kind.open(row), row)
    assert kind.said == {"node-1": record}
    assert kind.formats == (MASTER_KEYS_FORMAT,)
    with pytest.raises(RecordError, match="moved"):
        kind.open(Row(keyring.master_keys_name("node-2"), 3, data))
