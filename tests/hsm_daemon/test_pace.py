"""The token bucket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_daemon.pace import Pace, TokenBucket, TwoRates


def test_a_burst_is_served_at_once_and_then_the_rate_holds() -> None:
    bucket = TokenBucket(10.0, 3)
    assert [bucket.take(50.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.has_token(50.0)
    assert bucket.wait_s(50.0) == pytest.approx(0.1)
    assert bucket.take(50.1)
    assert not bucket.take(50.1)
    assert [bucket.take(99.0) for _ in range(4)] == [True, True, True, False]


def test_who_waits_for_several_tokens_waits_for_no_more_than_the_bucket_holds() -> None:
    bucket = TokenBucket(10.0, 2)
    assert bucket.wait_s(1.0, 1) == 0.0
    assert bucket.take(1.0)
    assert bucket.take(1.0)
    assert bucket.wait_s(1.0, 50) == pytest.approx(0.2)


def test_what_is_owed_is_waited_for_and_more_than_the_bucket_holds_may_be() -> None:
    bucket = TokenBucket(10.0, 2)
    bucket.owe(5, 1.0)
    assert bucket.wait_s(1.0) == pytest.approx(0.4)
    assert not bucket.has_token(1.3)
    assert bucket.take(1.4)
    assert not bucket.has_token(1.4)


def test_a_clock_that_goes_back_gives_no_tokens() -> None:
    bucket = TokenBucket(10.0, 1)
    assert bucket.take(100.0)
    assert not bucket.take(90.0)
    assert not bucket.take(100.0)
    assert bucket.take(100.1)


@pytest.mark.parametrize(("per_s", "burst"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_a_bucket_that_would_never_give_is_refused(per_s: float, burst: int) -> None:
    with pytest.raises(ValueError, match="token bucket"):
        TokenBucket(per_s, burst)


@given(
    st.floats(0.5, 5000.0),
    st.integers(1, 100),
    st.lists(st.floats(0.0, 5.0), min_size=1, max_size=100),
)
def test_never_more_than_burst_and_rate_allow(per_s: float, burst: int, pauses: list[float]) -> None:
    bucket = TokenBucket(per_s, burst)
    now = start = 1000.0
    taken = 0
    for pause in pauses:
        now += pause
        taken += sum(bucket.take(now) for _ in range(3))
    assert taken <= burst + (now - start) * per_s + 0.01


@given(st.floats(0.5, 5000.0), st.integers(1, 100))
def test_after_the_wait_there_is_a_token(per_s: float, burst: int) -> None:
    bucket = TokenBucket(per_s, burst)
    while bucket.take(1000.0):
        pass
    assert bucket.take(1000.0 + bucket.wait_s(1000.0))


def test_a_crowd_is_taken_at_the_peak_rate_and_a_flood_at_the_sustained_one() -> None:
    tokens = Pace(100.0, 4, 16, sustained_per_s=10.0, crowd=50).tokens()
    taken = [second for second in range(20) for step in range(1000) if tokens.take(second + step / 1000)]
    assert taken.count(0) in range(54, 64), "the crowd, and what the sustained rate added meanwhile"
    assert all(taken.count(second) in (9, 10, 11) for second in range(1, 20))


def test_a_pace_without_a_lower_rate_has_one_rate() -> None:
    assert isinstance(Pace(100.0, 4, 16).tokens(), TokenBucket)
    assert isinstance(Pace(100.0, 4, 16, sustained_per_s=100.0, crowd=9).tokens(), TokenBucket)
    assert isinstance(Pace(100.0, 4, 16, sustained_per_s=99.0, crowd=9).tokens(), TwoRates)


def test_a_refused_token_of_one_rate_costs_none_of_the_other() -> None:
    peak, sustained = TokenBucket(1.0, 1), TokenBucket(1.0, 5)
    tokens = TwoRates(peak, sustained)
    assert tokens.take(0.0)
    assert not tokens.take(0.0)
    assert [sustained.take(0.0) for _ in range(5)] == [True] * 4 + [False]
    assert tokens.wait_s(0.0) == pytest.approx(1.0)
