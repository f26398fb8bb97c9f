from collections.abc import Callable

from hsm_node.core.key_table import KeyTable
from hsm_node.core.records import Record

Make = Callable[..., Record]
A, B, C = b"a" * 16, b"b" * 16, b"c" * 16


def filled(make: Make) -> KeyTable:
    table = KeyTable()
    for revision, (key_id, label) in enumerate(((C, "x"), (A, "x"), (B, "y")), 1):
        table.apply(make(key_id=key_id, label=label), revision)
    return table


def ids(
    table: KeyTable, label: str | None = None, after: bytes = b"", limit: int = 10, partition: int = 1
) -> list[bytes]:
    return [info.key_id for info in table.find(partition, label, None, after, limit)]


def test_find_pages_in_the_order_of_ids(make_record: Make) -> None:
    table = filled(make_record)
    assert ids(table, limit=2) == [A, B]
    assert ids(table, after=B) == [C]
    assert ids(table, "x") == [A, C]
    assert ids(table, "none") == ids(table, partition=2) == []
    assert table.find(1, None, "rsa-2048", b"", 10) == []


def test_keys_that_are_not_destroyed_are_counted_by_partition(make_record: Make) -> None:
    table = filled(make_record)
    table.apply(make_record(key_id=A, label="x", version=2, destroyed=True), 4)
    assert (table.count(1), table.count(2), table.counts) == (2, 0, {1: 2})


def test_a_destroyed_key_is_kept_but_not_found(make_record: Make) -> None:
    table = filled(make_record)
    table.apply(make_record(key_id=A, label="x", version=2, destroyed=True), 4)
    entry = table.get(1, A)
    assert entry is not None
    assert entry.record.destroyed
    assert ids(table) == [B, C]
    assert table.live == 2


def test_a_changed_label_moves_the_key(make_record: Make) -> None:
    table = filled(make_record)
    table.apply(make_record(key_id=B, label="x", version=2), 4)
    assert ids(table, "y") == []
    assert ids(table, "x") == [A, B, C]
    assert table.live == 3


def test_an_older_version_changes_nothing(make_record: Make) -> None:
    table = KeyTable()
    table.apply(make_record(version=2, label="new"), 2)
    assert not table.apply(make_record(label="old"), 1)
    assert ids(table, "old") == []


def test_a_removed_key_is_gone(make_record: Make) -> None:
    table = filled(make_record)
    table.remove(1, A)
    table.remove(1, A)
    assert table.get(1, A) is None
    assert ids(table) == [B, C]


def test_the_encoded_info_is_made_once(make_record: Make) -> None:
    entry = filled(make_record).get(1, A)
    assert entry is not None
    assert entry.encoded_info is entry.encoded_info


def test_keys_whose_destruction_has_a_time_are_known_until_it_is_revoked_or_done(make_record: Make) -> None:
    table = KeyTable()
    table.apply(make_record(key_id=A, destroy_at=50), 1)
    table.apply(make_record(key_id=B, destroy_at=60), 2)
    assert table.scheduled == {(1, A): 50, (1, B): 60}
    table.apply(make_record(key_id=A, version=2), 3)
    table.apply(make_record(key_id=B, version=2, destroyed=True), 4)
    assert table.scheduled == {}


def test_a_change_that_moves_nothing_is_taken_in_place(make_record: Make) -> None:
    table = filled(make_record)
    assert table.apply(make_record(key_id=A, label="x", version=2, enabled=False), 4)
    entry = table.get(1, A)
    assert entry is not None
    assert (entry.record.enabled, entry.revision, table.live) == (False, 4, 3)
    assert ids(table) == [A, B, C]
    assert ids(table, "x") == [A, C]


def test_a_writing_that_the_owner_does_not_see_is_newer_too(make_record: Make) -> None:
    table = KeyTable()
    table.apply(make_record(version=2, sequence=3, wrapped=b"new"), 2)
    assert not table.apply(make_record(version=2, wrapped=b"old"), 1)
    table.apply(make_record(version=3, sequence=4, destroyed=True), 3)
    assert not table.apply(make_record(version=3, sequence=3), 2)
    assert table.apply(make_record(version=3, sequence=5), 4)


def test_keys_are_counted_by_type(make_record: Make) -> None:
    table = KeyTable()
    table.apply(make_record(key_id=A), 1)
    table.apply(make_record(key_id=B, key_type="ed25519"), 2)
    table.apply(make_record(key_id=A, label="another", version=2), 3)
    assert table.types == {"hmac-256": 1, "ed25519": 1}
    table.apply(make_record(key_id=A, label="another", version=3, enabled=False), 4)
    table.apply(make_record(key_id=B, key_type="ed25519", version=2, destroyed=True), 5)
    assert table.types == {"hmac-256": 1}


def test_a_key_that_one_device_has_asks_nothing_of_other_nodes(make_record: Make) -> None:
    table = KeyTable()
    table.apply(make_record(key_id=A, key_type="ed25519", device_object="legacy", adopted_at="node-1"), 1)
    assert (table.types, table.live) == ({}, 1)
    table.apply(make_record(key_id=A, key_type="ed25519", device_object="legacy", version=2, destroyed=True), 2)
    assert (table.types, table.live) == ({}, 0)
