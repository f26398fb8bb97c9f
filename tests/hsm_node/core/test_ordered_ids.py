"""Ids are in order however they came, and whenever somebody looks."""

import random

import pytest

from hsm_node.core.ordered_ids import FEW, OrderedIds


def many(count: int) -> list[bytes]:
    return [bytes([number >> 8, number & 0xFF]) for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, FEW, FEW + 1, 5 * FEW])
def test_they_are_in_order_whatever_order_they_came_in(count: int) -> None:
    came = many(count)
    random.Random(1).shuffle(came)
    ids = OrderedIds()
    for one in came:
        ids.add(one)
    assert len(ids) == count
    assert ids.settled() == many(count)
    assert len(ids) == count


def test_what_comes_after_a_look_is_in_its_place_at_the_next() -> None:
    came = many(6 * FEW)
    chance = random.Random(2)
    chance.shuffle(came)
    ids, there = OrderedIds(), []
    while came:
        for _ in range(chance.choice([1, FEW, FEW + 1])):
            if came:
                there.append(came.pop())
                ids.add(there[-1])
        assert ids.settled() == sorted(there)


def test_what_is_removed_is_gone_also_when_nobody_had_looked() -> None:
    ids = OrderedIds()
    for one in reversed(many(4)):
        ids.add(one)
    ids.remove(b"\0\2")
    assert ids.settled() == [b"\0\0", b"\0\1", b"\0\3"]
    ids.add(b"\0\2")
    ids.remove(b"\0\0")
    assert ids.settled() == many(4)[1:]
    assert len(ids) == 3
