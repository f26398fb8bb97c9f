"""What the objects of a partition may take."""

import pytest

from hsm_node.core.lifecycle import Origin
from hsm_node.core.object_lifecycle import destroyed_object, new_object, updated_object
from hsm_node.core.object_records import ObjectRecord
from hsm_node.core.object_shares import RETRY_AFTER_MS, ObjectShares
from hsm_node.core.object_table import RECORD_BYTES, ObjectTable, size_of
from hsm_node.core.refusal import Refusal
from hsm_wire.objects import CreateObject, UpdateObject
from hsm_wire.statuses import Status

LIMIT = 10 * RECORD_BYTES


def made(number: int, size: int, partition: int = 1) -> ObjectRecord:
    body = CreateObject(bytes([number]) * 16, "data", bytes(size))
    return new_object(body, Origin(b"c" * 16, 1, partition, 1000), b"d" * 32)


def filled(*sizes: int) -> ObjectTable:
    table = ObjectTable()
    for number, size in enumerate(sizes, 1):
        table.apply(made(number, size), number)
    return table


def check_new(shares: ObjectShares, record: ObjectRecord) -> None:
    with shares.on_the_way(record.partition, size_of(record)):
        shares.check(record, None, size_of(record))


def test_a_partition_takes_its_share_and_not_a_byte_more() -> None:
    shares = ObjectShares(filled(LIMIT - 2 * RECORD_BYTES - 100), LIMIT)
    check_new(shares, made(9, 100))
    with pytest.raises(Refusal) as refused:
        check_new(shares, made(9, 101))
    assert (refused.value.status, refused.value.retry_after_ms) == (Status.OVER_QUOTA, RETRY_AFTER_MS)
    assert str(LIMIT) in refused.value.detail
    check_new(shares, made(9, 101, partition=2))


def test_what_is_on_its_way_counts_until_it_is_there_or_refused() -> None:
    shares = ObjectShares(filled(), LIMIT)
    first, second = made(1, LIMIT - 2 * RECORD_BYTES), made(2, 1)
    with shares.on_the_way(1, size_of(first)):
        shares.check(first, None, size_of(first))
        check_new(shares, made(3, 0))
        with pytest.raises(Refusal):
            check_new(shares, second)
    check_new(shares, second)


def test_a_full_partition_may_still_shrink_rename_and_destroy() -> None:
    table = filled(LIMIT)
    shares, entry = ObjectShares(table, LIMIT), table.get(1, bytes([1]) * 16)
    assert entry is not None
    record = entry.record
    for after in (
        updated_object(record, UpdateObject(record.object_id, label="new"), b"m"),
        updated_object(record, UpdateObject(record.object_id, value=b"v"), b"m"),
        updated_object(record, UpdateObject(record.object_id, value=bytes(LIMIT)), b"m"),
        destroyed_object(record, b"m"),
    ):
        shares.check(after, record, 0)
    grown = updated_object(record, UpdateObject(record.object_id, value=bytes(LIMIT + 1)), b"m")
    with pytest.raises(Refusal):
        shares.check(grown, record, 0)
