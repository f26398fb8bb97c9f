"""So many keys a second, with a burst, through one proxy or several."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.quota.generation_rate import FORGET_MS, MAX_DEBT, ONE, GenerationRate


def rested(rate=1, burst=5):
    made = GenerationRate(rate, burst, -60_000)
    assert made.take(0) == 0
    made.settle(0, made=False)
    return made


def taken(rate, now_ms, most=99):
    return next(n for n in range(most) if rate.take(now_ms))


def test_a_burst_of_five_then_one_a_second():
    rate = rested()
    assert taken(rate, 0) == 5
    assert rate.take(0) == 1000
    assert rate.take(400) == 600
    assert [taken(rate, 1000 * second) for second in (1, 2, 3)] == [1, 1, 1]
    assert taken(rate, 6000) == 3
    assert taken(rate, 99_000) == 5


def test_whoever_restarts_a_proxy_gets_no_burst_for_it():
    rate = GenerationRate(1, 5, 0)
    assert rate.take(0) == 1000
    assert taken(rate, 2000) == 2


def test_what_made_no_key_is_given_back():
    rate = rested()
    for _ in range(20):
        assert rate.take(0) == 0
        rate.settle(0, made=False)
    assert taken(rate, 0) == 5


def test_what_was_let_through_before_a_reload_changes_nothing():
    rate = rested()
    rate.settle(0, made=True)
    rate.settle(0, made=False)
    rate.told(1, 0)
    assert taken(rate, 0) == 4


def test_what_this_proxy_let_through_is_not_counted_again_when_nodes_tell_of_it():
    rate = rested()
    assert taken(rate, 0) == 5
    for _ in range(4):
        rate.settle(10, made=True)
    rate.told(5, 500)  # the fifth is made as well, its answer is on the way
    rate.settle(600, made=True)
    assert rate.take(600) == 400


def test_what_others_let_through_is_counted_and_must_sink_again():
    rate = rested()
    rate.told(7, 0)
    assert rate.take(0) == 3000
    assert [taken(rate, 1000 * second) for second in (1, 2, 3, 4)] == [0, 0, 1, 1]


def test_what_was_made_nobody_knows_when_saves_nothing_up_and_must_not_sink_again():
    rate = rested()
    rate.told(3, 0, lately=False)
    assert taken(rate, 0) == 2
    rate.told(600, 0, lately=False)
    assert rate.take(0) == 1000
    rate.told(7, 0)
    rate.told(600, 0, lately=False)
    assert rate.take(0) == 8000


def test_what_is_told_after_a_cut_lets_none_through_for_a_minute_at_most():
    rate = rested()
    rate.told(600, 0)
    assert rate.take(0) == MAX_DEBT + ONE


def test_what_nodes_never_tell_of_hides_nothing_that_others_let_through():
    rate = rested()
    assert taken(rate, 0) == 5
    for _ in range(5):
        rate.settle(0, made=True)
    later = FORGET_MS + 1
    rate.told(5, later)
    assert rate.take(later) == 1000


@pytest.mark.parametrize(("rate", "proxies"), [(1, 1), (1, 2), (3, 3), (7, 2)])
def test_it_is_exact_within_one_per_cent_over_hours_whatever_proxies_know_of_one_another(rate, proxies):
    """Everybody asks all the time; nodes tell everybody every second; one proxy is restarted every ten minutes."""
    chance, hours = random.Random(rate), 6
    rates = [GenerationRate(rate, 5, 0) for _ in range(proxies)]
    made = untold = 0
    for now in range(0, hours * 3_600_000, 250):
        if now % 600_000 == 0:
            rates[0] = GenerationRate(rate, 5, now)
        for one in chance.sample(rates, proxies):
            while not one.take(now):
                made += 1
                untold += 1
                one.settle(now, made=True)
        if now % 1000 == 0:
            for one in rates:
                one.told(untold, now)
            untold = 0
    assert made == pytest.approx(rate * hours * 3600, rel=0.01)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 8), st.booleans()), max_size=80), st.integers(1, 5))
def test_in_no_time_is_more_let_through_than_the_rate_and_a_burst(steps, per_second):
    rate = rested(per_second)
    now, log = 0, []
    for wait_ms, wanted, made in steps:
        now += wait_ms
        for _ in range(wanted):
            if rate.take(now) == 0:
                rate.settle(now, made=made)
                if made:
                    log.append(now)
    for begin in range(len(log)):
        for end in range(begin, len(log)):
            assert end - begin + 1 <= 5 + per_second * (log[end] - log[begin]) / 1000


@given(st.lists(st.tuples(st.integers(0, 2000), st.sampled_from(["take", "made", "none", "told"])), max_size=120))
def test_whatever_happens_a_refusal_names_a_time_after_which_it_is_let_through(steps):
    rate, now, flying = rested(), 0, 0
    for wait_ms, what in steps:
        now += wait_ms
        if what == "take":
            wait = rate.take(now)
            if wait:
                assert rate.take(now + wait) == 0
                now += wait
            flying += 1
        elif what == "told":
            rate.told(1, now)
        elif flying:
            flying -= 1
            rate.settle(now, made=what == "made")
