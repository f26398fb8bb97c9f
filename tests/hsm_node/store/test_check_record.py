"""The store's check record."""

from hsm_node.core.keyring import Keyring
from hsm_node.store.check_record import WRAPPED_KEY_BYTES, ClusterRow, make_check_record, open_check_record

ROW = ClusterRow(b"c" * 16, "dev", 1)


def test_a_check_record_opens_under_its_master_key_only(keyring: Keyring, other_keyring: Keyring) -> None:
    keyring.make_store_keys()
    record = make_check_record(ROW, keyring)
    assert len(record.naming_key) == len(record.digest_key) == WRAPPED_KEY_BYTES
    mac, before = keyring.mac(record.authenticated), other_keyring.name(1, b"k")
    assert not open_check_record(record, mac, other_keyring)
    assert not open_check_record(record, "text", keyring)
    assert other_keyring.name(1, b"k") == before
    fresh = Keyring(bytes(range(32)))
    assert open_check_record(record, mac, fresh)
    assert fresh.name(1, b"k") == keyring.name(1, b"k")


def test_the_record_counts_master_keys(keyring: Keyring) -> None:
    keyring.renumber(1, 5)
    record = make_check_record(ROW, keyring)
    fresh = Keyring(bytes(range(32)))
    assert open_check_record(record, keyring.mac(record.authenticated), fresh)
    assert fresh.version == 5


def test_records_of_both_schemas_authenticate_different_bytes(keyring: Keyring) -> None:
    assert make_check_record(ROW, keyring).authenticated != ROW.authenticated
