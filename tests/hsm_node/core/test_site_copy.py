"""Durability `dr`: who waits for the member of the DR site, and until when."""

import pytest

from hsm_node.core.site_copy import ASK_AGAIN_S, ASK_LOST_S, DR_WAIT_S, Ended, SiteCopy


@pytest.fixture
def copy() -> SiteCopy:
    return SiteCopy()


def test_a_change_that_the_member_has_shown_waits_for_nothing(copy: SiteCopy) -> None:
    copy.shown(10, 0.0)
    ticket, ended = copy.begin(10, 0.0)
    assert ended == [Ended(ticket, has=True)]
    assert copy.asks_after_s is None


def test_one_answer_ends_all_waits_up_to_its_revision(copy: SiteCopy) -> None:
    first, second, third = (copy.begin(revision, 0.0)[0] for revision in (11, 12, 13))
    assert copy.shown(10, 0.1) == []
    assert copy.asks_after_s == ASK_AGAIN_S
    assert copy.shown(12, 0.2) == [Ended(first, has=True), Ended(second, has=True)]
    assert copy.shown(14, 0.3) == [Ended(third, has=True)]


def test_a_member_that_has_lost_what_it_had_is_waited_for_again(copy: SiteCopy) -> None:
    copy.shown(12, 0.0)
    copy.shown(11, 0.1)
    assert copy.begin(12, 0.2)[1] == []


def test_a_wait_ends_in_vain_after_its_time(copy: SiteCopy) -> None:
    ticket, _ = copy.begin(11, 1.0)
    assert copy.ends == 1.0 + DR_WAIT_S
    assert copy.late(0.99 + DR_WAIT_S) == []
    assert copy.late(1.0 + DR_WAIT_S) == [Ended(ticket, has=False)]
    assert copy.ends is None


def test_an_answer_that_comes_with_the_end_of_the_time_counts(copy: SiteCopy) -> None:
    ticket, _ = copy.begin(11, 0.0)
    assert copy.shown(11, DR_WAIT_S) == [Ended(ticket, has=True)]


def test_while_a_change_is_owed_nobody_waits_and_the_member_is_asked_now_and_then(copy: SiteCopy) -> None:
    copy.begin(11, 0.0)
    copy.late(DR_WAIT_S)
    ticket, ended = copy.begin(12, 4.0)
    assert ended == [Ended(ticket, has=False)]
    assert copy.asks_after_s == ASK_LOST_S


def test_a_member_that_is_back_is_waited_for_again(copy: SiteCopy) -> None:
    copy.begin(11, 0.0)
    copy.late(DR_WAIT_S)
    copy.begin(12, 4.0)
    assert copy.shown(11, 5.0) == []
    assert copy.asks_after_s is None
    assert copy.begin(13, 5.0)[1] == []
    assert copy.asks_after_s == ASK_AGAIN_S


def test_with_one_that_waited_in_vain_all_end(copy: SiteCopy) -> None:
    first, _ = copy.begin(11, 0.0)
    second, _ = copy.begin(12, 2.0)
    assert copy.shown(10, DR_WAIT_S) == [Ended(first, has=False), Ended(second, has=False)]
    assert copy.owed == 12
