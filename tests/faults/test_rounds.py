"""Rounds of makers: all at once, and so many a second in the mean."""

import pytest
from rounds import BEHIND_S, Rounds


def turns(rounds: Rounds, free: int, start: float, end: float) -> int:
    """Return how many turns begin in that time, if so many are free at each round."""
    now, begun = start, 0
    while (now := now + rounds.wait_s(now)) < end:
        rounds.begin(free, now)
        begun += free
    return begun


def test_all_who_are_free_begin_at_once_and_the_next_round_is_due_at_the_mean_rate() -> None:
    rounds = Rounds(16.0, 100.0)
    assert rounds.wait_s(100.0) == 0.0
    rounds.begin(32, 100.0)
    assert rounds.wait_s(100.5) == 1.5
    assert rounds.wait_s(103.0) == 0.0


@pytest.mark.parametrize("free", [32, 7])
def test_the_mean_rate_is_kept_however_many_are_free(free: int) -> None:
    assert turns(Rounds(18.0, 0.0), free, 0.0, 600.0) == pytest.approx(18.0 * 600.0, abs=free)


def test_what_was_missed_is_made_up_for_unless_it_is_long_ago() -> None:
    rounds = Rounds(18.0, 0.0)
    assert turns(rounds, 32, 10.0, 60.0) == pytest.approx(18.0 * 60.0, abs=32)
    rounds = Rounds(18.0, 0.0)
    assert turns(rounds, 32, 30.0, 60.0) == pytest.approx(18.0 * (30.0 + BEHIND_S), abs=32)
