"""What is left of destroyed keys and objects."""

import tracemalloc

from hsm_node.core.tombstones import Buried, Tombstones

PLACE = (1, b"k" * 16)


def buried(*, order: int = 2, revision: int = 1, mark: bytes = b"m" * 16) -> Buried:
    return Buried(2, order, revision, b"d" * 32, mark)


def test_what_is_asked_of_a_destroyed_key_is_kept() -> None:
    tombstones = Tombstones()
    left = Buried(version=7, order=9, revision=40, creation_digest=b"d" * 32, mark=b"z" * 16)
    tombstones.put(PLACE, left)
    assert tombstones.get(PLACE) == left
    assert (left.changes, tombstones.order(PLACE), len(tombstones)) == ((b"z" * 16,), 9, 1)
    tombstones.drop(PLACE)
    assert (tombstones.get(PLACE), tombstones.order(PLACE), len(tombstones)) == (None, 0, 0)


def test_one_without_a_mark_is_kept_too() -> None:
    tombstones = Tombstones()
    tombstones.put(PLACE, buried(mark=b""))
    found = tombstones.get(PLACE)
    assert found is not None
    assert (found.mark, found.changes) == (b"", ())


def test_ten_thousand_take_little_more_than_a_megabyte() -> None:
    tombstones = Tombstones()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(10_000):
        tombstones.put((1, number.to_bytes(16, "big")), buried(revision=number))
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert taken < 1_300_000


def test_one_that_is_destroyed_again_takes_the_place_of_the_first() -> None:
    tombstones = Tombstones()
    tombstones.put(PLACE, buried(order=2, revision=1))
    tombstones.put(PLACE, buried(order=5, revision=8))
    assert (len(tombstones), tombstones.order(PLACE)) == (1, 5)


def test_many_in_few_buckets_are_each_found_and_dropped_alone() -> None:
    tombstones = Tombstones()
    places = [(1 + number % 2, (number // 2).to_bytes(16, "big")) for number in range(4000)]
    for order, place in enumerate(places, 1):
        tombstones.put(place, buried(order=order, revision=order))
    for place in places[::2]:
        tombstones.drop(place)
    assert [tombstones.order(place) for place in places] == [0 if n % 2 else n for n in range(1, 4001)]
