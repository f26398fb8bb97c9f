"""What tables of keys and of objects have in common, with the smallest record that will do."""

import msgspec

from hsm_node.core.record_table import Entry, RecordTable
from hsm_node.core.tombstones import Buried, Place


class Info(msgspec.Struct, array_like=True):
    label: str


class Thing(msgspec.Struct, frozen=True):
    place: Place
    label: str = ""
    version: int = 1
    order: int = 1
    destroyed: bool = False
    creation_digest: bytes = b""
    changes: tuple[bytes, ...] = ()

    @property
    def info(self) -> Info:
        return Info(self.label)


class Things(RecordTable[Thing]):
    def __init__(self) -> None:
        super().__init__(revived)

    def ids(self, label: str | None = None, after: bytes = b"", partition: int = 1) -> list[bytes]:
        return [thing.place[1] for thing in self._after(partition, label, after)]


def revived(place: Place, left: Buried) -> Thing:
    return Thing(place, "", left.version, left.order, True, left.creation_digest, left.changes)


def thing(name: bytes, label: str = "", order: int = 1, *, destroyed: bool = False, partition: int = 1) -> Thing:
    return Thing((partition, name * 16), label, order, order, destroyed, b"d" * 32, (b"1" * 16, b"2" * 16))


A, B, C = b"a" * 16, b"b" * 16, b"c" * 16


def filled() -> Things:
    table = Things()
    for revision, (name, label) in enumerate(((b"c", "x"), (b"a", "x"), (b"b", "y")), 1):
        assert table.apply(thing(name, label), revision)
    return table


def test_records_are_found_by_partition_and_label_in_the_order_of_ids() -> None:
    table = filled()
    table.apply(thing(b"a", "x", partition=2), 4)
    assert (table.ids(), table.ids(after=A), table.ids("x"), table.ids("x", A)) == ([A, B, C], [B, C], [A, C], [C])
    assert (table.ids(partition=2), table.ids(partition=3), table.ids("none"), table.live) == ([A], [], [], 4)


def test_of_a_destroyed_record_the_tombstone_is_left_and_an_older_one_does_not_bring_it_back() -> None:
    table = filled()
    assert table.apply(thing(b"a", "x", 2, destroyed=True), 4)
    entry = table.get(1, A)
    assert entry is not None
    record = entry.record
    assert (record.destroyed, record.order, record.changes, entry.revision) == (True, 2, (b"2" * 16,), 4)
    assert not table.apply(thing(b"a", "x"), 5)
    assert (table.ids(), table.ids("x"), table.live) == ([B, C], [C], 2)


def test_a_record_that_is_removed_is_gone_with_its_tombstone() -> None:
    table = filled()
    table.apply(thing(b"a", "x", 2, destroyed=True), 4)
    for name in (A, A, B):
        table.remove(1, name)
    assert (table.get(1, A), table.get(1, B), table.ids(), table.live) == (None, None, [C], 1)
    assert table.apply(thing(b"a", "x"), 5)


def test_a_record_is_replaced_by_a_newer_one_and_moves_with_its_label() -> None:
    table = filled()
    assert table.apply(thing(b"a", "x", 2), 4)
    assert table.apply(thing(b"a", "y", 3), 5)
    assert not table.apply(thing(b"a", "x", 2), 6)
    assert (table.ids(), table.ids("x"), table.ids("y"), table.live) == ([A, B, C], [C], [A, B], 3)


def test_what_the_owner_may_know_is_encoded_once() -> None:
    entry = Entry(thing(b"a", "x"), 1)
    assert msgspec.msgpack.decode(entry.encoded_info) == ["x"]
    assert entry.encoded_info is entry.encoded_info


def test_what_came_at_once_is_in_order_and_counted_before_and_after_it_was_settled() -> None:
    table = filled()
    assert (table.count(1), table.counts) == (3, {1: 3})
    table.settle()
    assert (table.count(1), table.count(2), table.ids()) == (3, 0, [A, B, C])
