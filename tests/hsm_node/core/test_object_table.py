"""Objects in memory."""

from typing import Any

import pytest

from hsm_node.core.object_records import ObjectRecord
from hsm_node.core.object_table import RECORD_BYTES, ObjectTable

A, B, C = b"a" * 16, b"b" * 16, b"c" * 16


def make(object_id: bytes, order: int = 1, **changes: Any) -> ObjectRecord:
    fields: dict[str, Any] = {"partition": 1, "kind": "data", "label": "", "value": b"", "destroyed": False} | changes
    return ObjectRecord(
        cluster_id=b"c" * 16,
        object_id=object_id,
        version=order,
        order=order,
        epoch=1,
        created=1000,
        creation_digest=b"d" * 32,
        changes=(b"1" * 16, b"2" * 16),
        **fields,
    )


@pytest.fixture
def table() -> ObjectTable:
    made = ObjectTable()
    for revision, (object_id, kind, label) in enumerate(
        ((C, "data", "x"), (A, "certificate", "x"), (B, "data", "y")), 1
    ):
        made.apply(make(object_id, kind=kind, label=label, value=b"v" * 100), revision)
    return made


def ids(table: ObjectTable, *, label: str | None = None, kind: str | None = None, **rest: Any) -> list[bytes]:
    found = table.find(rest.get("partition", 1), label, kind, rest.get("after", b""), rest.get("limit", 10))
    return [info.object_id for info in found]


def test_find_goes_by_label_and_kind_a_page_at_a_time(table: ObjectTable) -> None:
    assert ids(table) == [A, B, C]
    assert (ids(table, label="x"), ids(table, kind="data"), ids(table, label="x", kind="data")) == ([A, C], [B, C], [C])
    assert (ids(table, limit=2), ids(table, after=B), ids(table, partition=2)) == ([A, B], [C], [])


def test_a_destroyed_object_leaves_what_a_request_that_is_sent_again_needs(table: ObjectTable) -> None:
    table.apply(make(A, 2, destroyed=True), 4)
    entry = table.get(1, A)
    assert entry is not None
    record = entry.record
    assert (record.destroyed, record.value, record.label, record.kind) == (True, b"", "", "")
    assert (record.creation_digest, record.changes, record.order, entry.revision) == (b"d" * 32, (b"2" * 16,), 2, 4)
    assert (ids(table), table.live) == ([B, C], 2)


def test_what_a_partition_takes_follows_every_change(table: ObjectTable) -> None:
    one = RECORD_BYTES + 100
    assert (table.bytes_of(1), table.bytes_of(2), table.total_bytes) == (3 * one, 0, 3 * one)
    table.apply(make(A, 2, label="x", value=b"v" * 200), 4)  # in place
    table.apply(make(B, 2, label="z", value=b""), 5)  # under another label
    assert table.bytes_of(1) == 3 * one
    table.apply(make(C, partition=2), 6)
    assert (table.bytes_of(2), table.total_bytes) == (RECORD_BYTES, 3 * one + RECORD_BYTES)
    table.apply(make(A, 3, destroyed=True), 7)
    table.apply(make(A, 2, label="x", value=b"v"), 8)  # late
    assert table.bytes_of(1) == 2 * one - 100
    table.remove(1, A)
    table.remove(1, B)
    table.remove(1, C)
    assert table.bytes_of(1) == 0
