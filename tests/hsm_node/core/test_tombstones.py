"""What is left of destroyed keys."""

import tracemalloc
from collections.abc import Callable

from hsm_node.core.records import Record
from hsm_node.core.tombstones import Tombstones

MakeRecord = Callable[..., Record]


def test_what_is_asked_of_a_destroyed_key_is_kept(make_record: MakeRecord) -> None:
    tombstones = Tombstones()
    record = make_record(
        destroyed=True, version=7, sequence=9, creation_digest=b"d" * 32, changes=(b"a" * 16, b"z" * 16)
    )
    place = (record.partition, record.key_id)
    tombstones.put(record, 40)
    found = tombstones.get(place)
    assert found is not None
    kept, revision = found
    assert (kept.destroyed, kept.version, kept.creation_digest, kept.changes) == (True, 7, b"d" * 32, (b"z" * 16,))
    assert (kept.partition, kept.key_id, kept.order, revision) == (*place, 9, 40)
    assert (tombstones.order(place), len(tombstones)) == (9, 1)
    tombstones.drop(place)
    assert (tombstones.get(place), tombstones.order(place), len(tombstones)) == (None, 0, 0)


def test_one_without_a_mark_is_kept_too(make_record: MakeRecord) -> None:
    tombstones = Tombstones()
    record = make_record(destroyed=True, changes=())
    tombstones.put(record, 1)
    found = tombstones.get((record.partition, record.key_id))
    assert found is not None
    assert found[0].changes == ()


def test_ten_thousand_take_little_more_than_a_megabyte(make_record: MakeRecord) -> None:
    tombstones = Tombstones()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(10_000):
        tombstones.put(make_record(destroyed=True, key_id=number.to_bytes(16, "big")), number)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert taken < 1_300_000


def test_one_that_is_destroyed_again_takes_the_place_of_the_first(make_record: MakeRecord) -> None:
    tombstones = Tombstones()
    first = make_record(destroyed=True, version=2, sequence=2)
    tombstones.put(first, 1)
    tombstones.put(make_record(destroyed=True, version=3, sequence=5), 8)
    assert (len(tombstones), tombstones.order((first.partition, first.key_id))) == (1, 5)


def test_many_in_few_buckets_are_each_found_and_dropped_alone(make_record: MakeRecord) -> None:
    tombstones = Tombstones()
    places = [(1 + number % 2, (number // 2).to_bytes(16, "big")) for number in range(4000)]
    for order, (partition, key_id) in enumerate(places, 1):
        tombstones.put(make_record(destroyed=True, partition=partition, key_id=key_id, sequence=order), order)
    for place in places[::2]:
        tombstones.drop(place)
    assert [tombstones.order(place) for place in places] == [0 if n % 2 else n for n in range(1, 4001)]
