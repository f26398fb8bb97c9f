"""What the threads hand to the node."""

from threading import Thread

import pytest

from hsm_daemon import clock
from hsm_node.store.base import HaltedStoreError, ReplacedStoreError, Row, StoreError
from hsm_node.store.etcd.follow_state import MAX_GIVEN_ROWS, Change
from hsm_node.store.etcd.following import STALE_AFTER_S, Following
from hsm_node.store.etcd.transactions import key_of

NOW_S = 1000.0


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock: its only entry is what it says."""
    moment = [NOW_S]
    monkeypatch.setattr(clock, "boottime", lambda: moment[0])
    return moment


@pytest.fixture
def following(now: list[float]) -> Following:
    """A store without rows was listed at revision 10 and taken."""
    following = Following()
    following.listed([], 10, NOW_S)
    assert following.look()
    assert following.take() == []
    return following


def change(name: bytes, revision: int) -> Change:
    return Change(key_of(name), revision, b"d")


def test_before_anything_was_heard_there_is_no_contact(now: list[float]) -> None:
    following = Following()
    with pytest.raises(StoreError, match="no contact with the store: "):
        following.look()
    assert following.contact is None


def test_a_node_begins_with_the_list_however_long_that_took_and_is_stale_at_the_next_look(now: list[float]) -> None:
    following = Following()
    following.listed([change(b"a", 4)], 10, NOW_S)
    now[0] += 5 * STALE_AFTER_S
    assert following.look()
    assert following.take() == [Row(b"a", 4, b"d")]
    assert following.contact == NOW_S
    with pytest.raises(StoreError, match="no contact"):
        following.look()


def test_rows_are_shown_and_told_of_once(following: Following) -> None:
    told: list[bool] = []
    following.tell(lambda: told.append(True))
    following.watched([change(b"a", 11)])
    following.watched([Change(b"foreign", 12, b"x")])
    assert told == [True]
    assert following.look()
    assert following.take() == [Row(b"a", 11, b"d")]
    assert not following.look()
    assert following.revision == 12


def test_contact_is_the_begin_of_a_read_whose_revision_the_node_has_taken(
    following: Following, now: list[float]
) -> None:
    now[0] += 0.5
    following.read(now[0], 11)
    assert not following.look()
    assert following.contact == NOW_S
    following.watched([change(b"a", 11)])
    assert following.look()
    assert following.contact == NOW_S, "the node has not taken it yet"
    following.take()
    assert following.contact == NOW_S + 0.5


def test_without_contact_for_a_second_nothing_is_shown_and_the_reason_is_said(
    following: Following, now: list[float]
) -> None:
    now[0] += STALE_AFTER_S
    assert not following.look()
    now[0] += 0.1
    following.wrong(StoreError("no leader"))
    following.watched([change(b"a", 11)])
    with pytest.raises(StoreError, match=r"no contact with the store for 1\.1 s: no leader"):
        following.look()
    following.read(now[0], 11)
    assert following.look()


def test_that_the_store_takes_no_changes_is_told_apart_from_a_lost_contact(
    following: Following, now: list[float]
) -> None:
    now[0] += STALE_AFTER_S + 0.1
    following.wrong(HaltedStoreError("its quota is full"))
    with pytest.raises(HaltedStoreError, match="no contact with the store for .*: its quota is full"):
        following.look()
    following.wrong(StoreError("no leader"))
    with pytest.raises(StoreError) as caught:
        following.look()
    assert not isinstance(caught.value, HaltedStoreError)


def test_another_store_in_its_place_is_shown_at_once_until_a_list_is_like_what_was_known(following: Following) -> None:
    following.wrong(ReplacedStoreError("an older state"))
    following.read(NOW_S, 10)  # It has grown past what was seen: that proves nothing.
    for use in (following.look, following.check):
        with pytest.raises(ReplacedStoreError, match="an older state"):
            use()
    following.listed([], 11, NOW_S)
    following.check()
    assert not following.look()


def test_a_watch_that_owes_a_revision_is_behind_but_not_while_the_node_takes_nothing(
    following: Following, now: list[float]
) -> None:
    following.read(NOW_S, MAX_GIVEN_ROWS + 100)
    now[0] += 0.7
    assert following.behind() == pytest.approx(0.7)
    thread = Thread(
        target=lambda: following.watched([change(b"n%d" % n, 11 + n) for n in range(MAX_GIVEN_ROWS)]), daemon=True
    )
    thread.start()
    assert following.wait_for(10 + MAX_GIVEN_ROWS, 10)
    assert following.behind() == 0.0
    assert thread.is_alive(), "the watch is not read while so many rows wait"
    now[0] = NOW_S
    assert len(following.take()) == MAX_GIVEN_ROWS
    thread.join(10)
    assert not thread.is_alive()


def test_whoever_waits_for_a_revision_hears_of_it_or_of_the_end(following: Following) -> None:
    assert following.wait_for(10, 0)
    assert not following.wait_for(11, 0.01)
    thread = Thread(target=lambda: following.watched([change(b"a", 11)]))
    thread.start()
    assert following.wait_for(11, 10)
    thread.join()
    following.close()
    assert following.wait_for(99, 10)
    for use in (following.look, following.take):
        with pytest.raises(StoreError, match="closed"):
            use()


def test_a_node_whose_loop_has_ended_does_not_end_the_watch(following: Following) -> None:
    def ended() -> None:
        raise RuntimeError("Event loop is closed")

    following.tell(ended)
    following.watched([change(b"a", 11)])
    assert following.look()


def test_what_has_come_counts_as_applied_when_the_node_says_so_and_not_before(following: Following) -> None:
    confirmed: list[int] = []
    following.on_applied = lambda: confirmed.append(following.applied_revision)
    assert following.applied_revision == 0
    following.applied()
    following.watched([Change(b"foreign", 11, b"x")])
    assert following.applied_revision == 11
    following.watched([change(b"a", 12)])
    assert following.applied_revision == 10
    following.take()
    assert following.applied_revision == 10
    following.watched([change(b"a", 13)])
    following.applied()
    assert following.applied_revision == 12
    assert confirmed == [10, 12]


def test_whoever_is_fenced_is_so_for_the_first_reason_until_that_one_is_lifted(following: Following) -> None:
    following.fence("of an epoch")
    following.fence("another process has the name")
    following.lift("another process has the name")
    with pytest.raises(ReplacedStoreError, match="of an epoch"):
        following.check()
    following.lift("of an epoch")
    following.check()
