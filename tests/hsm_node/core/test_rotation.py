"""What is left, and whose turn it is."""

import pytest

from hsm_node.core.keyring import Keyring
from hsm_node.core.node_states import next_node_state, seal_node_state
from hsm_node.core.rotation import STAGGER_S, TAKE_OVER_S, Leftovers, Turn


def row(keyring: Keyring, node: str) -> bytes:
    return seal_node_state(next_node_state(None, b"c" * 16, 1, node, "drain", b"m"), keyring)


@pytest.fixture
def two(keyring: Keyring) -> Keyring:
    """A ring that holds a successor."""
    keyring.hold(b"n" * 32, 2)
    return keyring


def test_with_one_master_key_nothing_is_ever_left(keyring: Keyring) -> None:
    leftovers = Leftovers(keyring)
    leftovers.note(b"a", row(keyring, "a"))
    assert len(leftovers) == 0


def test_rows_that_are_not_under_the_key_in_use_are_left_until_they_are(two: Keyring) -> None:
    leftovers = Leftovers(two)
    old = row(two, "a")
    leftovers.note(b"a", old)
    assert len(leftovers) == 0
    two.use(2)
    leftovers.begin([b"a", b"b"])
    assert sorted(leftovers.some(5)) == [b"a", b"b"]
    assert len(leftovers.some(1)) == 1
    leftovers.note(b"a", row(two, "a"))
    assert leftovers.some(5) == [b"b"]
    leftovers.note(b"late", old)
    assert len(leftovers) == 2
    for name in (b"b", b"late", b"never there"):
        leftovers.forget(name)
    assert len(leftovers) == 0
    assert not leftovers.newer


def test_a_row_under_a_newer_key_says_that_another_node_was_faster(two: Keyring) -> None:
    leftovers = Leftovers(two)
    two.use(2)
    data = row(two, "a")
    two.use(1)
    leftovers.note(b"a", data)
    assert (leftovers.newer, leftovers.some(5)) == (True, [b"a"])
    two.use(2)
    leftovers.begin([b"a"])
    assert not leftovers.newer


def test_who_began_works_until_nothing_is_left() -> None:
    turn = Turn(0)
    turn.begin()
    assert [turn.due(float(now), left) for now, left in enumerate((3, 3, 1, 0, 1))] == [True, True, True, False, False]


def test_the_others_take_over_one_after_the_other_when_nothing_is_done() -> None:
    first, second = Turn(0), Turn(1)
    for now in (0.0, 1.0, 2.0):
        assert not first.due(now, 9 - int(now))
        assert not second.due(now, 9 - int(now))
    assert not first.due(2.0 + TAKE_OVER_S - 0.1, 7)
    assert first.due(2.0 + TAKE_OVER_S, 7)
    assert not second.due(2.0 + TAKE_OVER_S, 7)
    assert second.due(2.0 + TAKE_OVER_S + STAGGER_S, 8), "more is no progress"
    assert first.due(100.0, 1)
    assert not first.due(101.0, 0)


def test_a_rotation_later_is_watched_anew() -> None:
    turn = Turn(0)
    turn.due(0.0, 5)
    turn.due(1.0, 0)
    assert not turn.due(50.0, 5)
    assert not turn.due(50.0 + TAKE_OVER_S - 0.1, 5)
    assert turn.due(50.0 + TAKE_OVER_S, 5)
