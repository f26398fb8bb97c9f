import pytest

from hsm_node.store.base import ReplacedStoreError, Row
from hsm_node.store.etcd.follow_state import MAX_GIVEN_ROWS, Change, FollowState
from hsm_node.store.etcd.transactions import CHECK_KEY, key_of


def change(name: bytes, revision: int, data: bytes | None = b"d") -> Change:
    return Change(key_of(name), revision, data)


@pytest.fixture
def state() -> FollowState:
    """Two rows were listed at revision 10 and taken."""
    state = FollowState()
    assert state.listed([change(b"b", 9), change(b"a", 4)], 10) == 2
    assert state.take() == [Row(b"a", 4, b"d"), Row(b"b", 9, b"d")]
    assert (state.arrived, state.take(), state.waiting) == (10, [], 0)
    return state


def test_events_are_given_once_and_only_they_move_the_place(state: FollowState) -> None:
    assert state.watched([change(b"c", 12), change(b"a", 13, b"2")]) == 2
    assert state.arrived == 13
    assert state.watched([change(b"c", 12), change(b"a", 13, b"2"), change(b"b", 14)]) == 1
    assert state.take() == [Row(b"c", 12, b"d"), Row(b"a", 13, b"2"), Row(b"b", 14, b"d")]
    assert state.watched([]) == 0
    assert state.arrived == 14


def test_other_keys_move_the_place_and_give_no_row(state: FollowState) -> None:
    assert state.watched([Change(CHECK_KEY, 11, b"x"), Change(b"foreign", 12, None)]) == 0
    assert state.arrived == 12


def test_all_keys_of_one_transaction_are_taken(state: FollowState) -> None:
    assert state.watched([change(b"a", 11, b"2"), change(b"c", 11)]) == 2
    assert [row.revision for row in state.take()] == [11, 11]


def test_events_that_come_in_another_order_are_put_in_order(state: FollowState) -> None:
    state.watched([change(b"c", 12), change(b"a", 11)])
    assert [row.revision for row in state.take()] == [11, 12]


def test_a_row_that_was_deleted_is_damage(state: FollowState) -> None:
    state.watched([change(b"a", 11, None)])
    assert state.take() == [Row(b"a", 11, b"")]


def test_a_list_after_a_compaction_gives_what_is_newer_and_what_is_gone(state: FollowState) -> None:
    assert state.listed([change(b"b", 9), change(b"d", 15), change(b"c", 12)], 20) == 3
    assert state.take() == [Row(b"c", 12, b"d"), Row(b"d", 15, b"d"), Row(b"a", 20, b"")]
    assert state.arrived == 20
    assert state.listed([change(b"b", 9), change(b"d", 15), change(b"c", 12)], 20) == 0
    # Brought back by somebody: given as what it is.
    assert state.watched([change(b"a", 21)]) == 1


def test_what_was_deleted_and_seen_to_be_is_not_gone_again(state: FollowState) -> None:
    state.watched([change(b"a", 11, None)])
    state.take()
    assert state.listed([change(b"b", 9)], 12) == 0


@pytest.mark.parametrize(
    ("rows", "revision"),
    [
        ([(b"a", 4), (b"b", 9)], 9),  # an older state as a whole
        ([(b"a", 5), (b"b", 9)], 12),  # the same row at another old revision
        ([(b"a", 4), (b"b", 9), (b"c", 3)], 12),  # a row that should have been seen
        ([(b"a", 4), (b"b", 13)], 12),  # a row of the future
    ],
)
def test_another_state_in_its_place_is_refused(
    state: FollowState, rows: list[tuple[bytes, int]], revision: int
) -> None:
    with pytest.raises(ReplacedStoreError, match="in its place"):
        state.listed([change(name, at) for name, at in rows], revision)
    assert state.arrived == 10
    assert state.take() == []


def test_keys_that_are_no_rows_are_left_out_of_a_list(state: FollowState) -> None:
    assert state.listed([Change(CHECK_KEY, 12, b"x"), change(b"a", 4), change(b"b", 9)], 12) == 0


def test_the_watch_waits_when_the_node_takes_nothing() -> None:
    state = FollowState()
    state.watched(change(b"n%d" % number, number + 1) for number in range(MAX_GIVEN_ROWS - 1))
    assert not state.full
    state.watched([change(b"n", MAX_GIVEN_ROWS)])
    assert state.full
    assert len(state.take()) == MAX_GIVEN_ROWS
    assert not state.full
