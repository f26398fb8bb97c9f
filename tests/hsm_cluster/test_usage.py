"""Cells that only grow: who hears of them in any order, late or twice, knows the same in the end."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_cluster import usage as module
from hsm_cluster.usage import DAY_S, PERIOD_S, PERIODS, Growth, Row, Usage
from hsm_cluster.usage_claims import MAX_GENERATIONS, MAX_SIGNATURES

NOW = 6_000_000 * PERIOD_S
P = NOW // PERIOD_S
ALL = 10**9


def test_what_was_counted_is_there_for_a_day_and_no_longer():
    usage = Usage("n", NOW)
    usage.count(1, 3, 1)
    for later in (0, PERIOD_S, DAY_S, DAY_S + PERIOD_S - 1):
        usage.advance(NOW + later)
        assert (usage.signatures(1), usage.generations(1)) == (3, 1), later
    usage.advance(NOW + DAY_S + PERIOD_S)
    assert (usage.signatures(1), usage.generations(1)) == (0, 0)
    assert usage.signatures(2) == 0


def test_relief_comes_when_enough_has_left_the_window():
    usage = Usage("n", NOW)
    usage.count(1, 10, 0)
    usage.advance(NOW + 600)
    usage.count(1, 5, 0)
    assert usage.relief_s(1, 16, NOW + 600) == 0
    assert usage.relief_s(1, 15, NOW + 601) == DAY_S + PERIOD_S - 601
    assert usage.relief_s(1, 5, NOW + 601) == DAY_S + PERIOD_S - 1
    assert usage.relief_s(1, 0, NOW + 601) == DAY_S
    assert usage.relief_s(7, 1, NOW) == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400), st.integers(0, 5)), max_size=25), st.data())
def test_the_sums_are_those_of_the_window_however_time_goes_on(steps, data):
    usage, now = Usage("n", NOW), NOW
    for partition, periods, count in steps:
        now += periods * PERIOD_S * data.draw(st.sampled_from([1, 1, 1, -1]))
        usage.advance(now)
        usage.count(partition, count, count)
        usage.merge([Row("other", partition, usage.period - data.draw(st.integers(-1, PERIODS)), count, 0)])
        for of in range(4):
            fresh = Usage("", usage.period * PERIOD_S)
            fresh.merge(usage.news(0, ALL).rows)
            assert (usage.signatures(of), usage.generations(of)) == (fresh.signatures(of), fresh.generations(of))


def test_a_row_is_heard_once_however_often_it_is_told():
    told, heard = Usage("n", NOW), Usage("", NOW)
    told.count(1, 3, 2)
    rows = told.news(0, ALL).rows
    assert rows == [Row("n", 1, P, 3, 2)]
    assert heard.merge(rows) == [Growth(1, 3, 2)]
    assert heard.merge(rows) == []
    told.count(1, 1, 0)
    assert heard.merge([*told.news(0, ALL).rows, *rows]) == [Growth(1, 1, 0)]
    assert heard.signatures(1) == 4


def test_keys_generated_long_ago_are_no_news_to_a_rate():
    heard = Usage("", NOW)
    assert heard.merge([Row("n", 1, P - 2, 4, 9), Row("n", 1, P - 1, 4, 1)]) == [Growth(1, 4, 0), Growth(1, 4, 1)]
    assert heard.generations(1) == 10


def test_only_what_changed_is_told_and_in_pages():
    usage = Usage("n", NOW)
    for partition in range(1, 6):
        usage.count(partition, partition, 0)
    first = usage.news(0, 2)
    assert [row.partition for row in first.rows] == [1, 2]
    assert (first.newest, first.more) == (2, True)
    rest = usage.news(first.newest, ALL)
    assert [row.partition for row in rest.rows] == [3, 4, 5]
    assert (rest.newest, rest.more) == (5, False)
    assert usage.news(rest.newest, ALL).rows == []
    usage.advance(NOW + PERIOD_S)
    usage.count(2, 1, 0)
    assert usage.news(rest.newest, ALL).rows == [Row("n", 2, P + 1, 1, 0)]
    assert usage.news(0, ALL, but="n").rows == []


def test_all_cells_of_a_series_that_changed_are_told():
    usage = Usage("", NOW)
    usage.merge([Row("n", 1, P - age, age + 1, 0) for age in (5, 0, 3)])
    usage.merge([Row("n", 1, P - 5, 99, 0)])
    assert {row.period - P: row.signatures for row in usage.news(0, ALL).rows} == {-5: 99, 0: 1, -3: 4}
    assert {row.period - P for row in usage.news(2, ALL).rows} == {-3, -5}


def test_a_node_that_was_killed_loses_nothing_that_somebody_has_heard():
    usage = Usage("n", NOW)
    usage.merge([Row("n", 1, P, 100, 0)])  # what it had written down, of 120
    usage.count(1, 5, 0)
    assert usage.merge([Row("n", 1, P, 120, 0)]) == [Growth(1, 20, 0)]
    assert usage.signatures(1) == 125
    assert usage.merge([Row("n", 1, P, 120, 0)]) == []
    usage.count(1, 1, 0)
    assert usage.signatures(1) == 126


def test_its_own_cells_that_others_have_heard_of_change_nothing_while_it_lives():
    usage = Usage("n", NOW)
    usage.count(1, 5, 1)
    rows = usage.news(0, ALL).rows
    usage.count(1, 5, 1)
    assert usage.merge(rows) == []
    assert (usage.signatures(1), usage.generations(1)) == (10, 2)


def test_a_cell_of_a_clock_that_is_ahead_counts_as_of_the_next_period_and_one_of_yesterday_not_at_all():
    usage = Usage("", NOW)
    usage.merge([Row("n", 1, P + 99_999, 7, 0), Row("n", 1, P - PERIODS - 1, 7, 0)])
    assert usage.signatures(1) == 7
    usage.advance(NOW + DAY_S + 2 * PERIOD_S)
    assert usage.signatures(1) == 0


def test_a_clock_that_is_set_back_a_little_changes_nothing_and_far_back_begins_there():
    usage = Usage("n", NOW)
    usage.count(1, 7, 0)
    assert not usage.advance(NOW - 1)
    assert usage.period == P
    assert usage.advance(NOW - 3 * PERIOD_S)
    usage.count(1, 1, 0)
    assert usage.signatures(1) == 1
    assert [row.period for row in usage.news(0, ALL).rows] == [P - 3]


def test_a_count_has_an_end_and_does_not_begin_anew():
    usage = Usage("n", NOW)
    usage.count(1, MAX_SIGNATURES, 0)
    usage.count(1, 5, 7)
    usage.merge([Row("n", 1, P, MAX_SIGNATURES, MAX_GENERATIONS)])
    assert (usage.signatures(1), usage.generations(1)) == (MAX_SIGNATURES, MAX_GENERATIONS)


@pytest.mark.parametrize("beyond", [(MAX_SIGNATURES + 1, 0), (0, MAX_GENERATIONS + 1)])
def test_what_no_node_can_have_done_is_not_believed(beyond):
    usage = Usage("", NOW)
    usage.merge([Row("n", 1, P, 3, 3)])
    assert usage.merge([Row("n", 1, P, *beyond), Row("m", 1, P, *beyond)]) == []
    assert (usage.signatures(1), usage.generations(1), usage.claims.refused) == (3, 3, 2)


def test_names_that_the_configuration_does_not_have_are_not_believed():
    usage = Usage("n", NOW)
    usage.believe({"n", "m"}, {1}, 0.0)
    usage.merge([Row("m", 1, P, 3, 0), Row("z", 1, P, 50, 0), Row("m", 2, P, 50, 0)])
    assert (usage.signatures(1), usage.signatures(2), usage.claims.refused) == (3, 0, 2)
    assert usage.news(0, ALL).rows == [Row("m", 1, P, 3, 0)]
    usage.count(2, 4, 0)  # What it did itself it knows better than any configuration.
    assert usage.signatures(2) == 4


def test_what_is_known_of_a_node_that_was_taken_out_counts_until_it_is_a_day_old():
    usage = Usage("", NOW)
    usage.believe({"n", "m"}, {1}, 0.0)
    usage.merge([Row("m", 1, P, 3, 0)])
    usage.believe({"n"}, {1}, 0.0)
    usage.merge([Row("m", 1, P, 4, 0)])
    assert (usage.signatures(1), usage.claims.refused) == (4, 0)
    usage.advance(NOW + DAY_S + PERIOD_S)
    assert usage.signatures(1) == 0
    late = Usage("", NOW)
    late.believe({"n"}, {1}, 0.0)
    assert late.merge([Row("m", 1, P, 4, 0)]) == []


def test_what_was_used_before_the_moment_that_the_operator_names_is_forgotten_everywhere():
    usage, other = Usage("n", NOW), Usage("", NOW)
    usage.merge([Row("m", 1, P - 1, 800, 9)])
    usage.count(1, 5, 1)
    other.merge(usage.news(0, ALL).rows)
    since = NOW + 1.0
    usage.believe({"n", "m"}, {1}, since)
    assert (usage.signatures(1), usage.generations(1), usage.news(0, ALL).rows) == (0, 0, [])
    assert usage.merge(other.news(0, ALL).rows) == []
    usage.count(1, 1, 0)  # Still in a period that began before.
    assert (usage.signatures(1), usage.claims.refused) == (0, 0)
    usage.advance(NOW + PERIOD_S)
    usage.count(1, 2, 0)
    assert usage.signatures(1) == 2
    for later in (PERIODS, PERIODS + 1):
        usage.advance(NOW + later * PERIOD_S)
        assert usage.signatures(1) == 2
    usage.advance(NOW + (PERIODS + 2) * PERIOD_S)
    assert usage.signatures(1) == 0


def test_a_moment_that_is_still_to_come_forgets_no_more_than_what_was_used_until_now():
    usage = Usage("n", NOW)
    usage.believe({"n"}, {1}, NOW + 30 * DAY_S)
    usage.advance(NOW + PERIOD_S)
    usage.count(1, 2, 0)
    assert usage.signatures(1) == 2


def test_memory_is_bounded_and_what_goes_is_what_was_used_least_recently(monkeypatch):
    monkeypatch.setattr(module, "MAX_SERIES", 2)
    usage = Usage("n", NOW)
    for partition in (1, 2, 1, 3):
        usage.count(partition, 1, 0)
    assert [usage.signatures(partition) for partition in (1, 2, 3)] == [2, 0, 1]


def test_what_is_told_does_not_take_the_place_of_what_counts(monkeypatch):
    monkeypatch.setattr(module, "MAX_SERIES", 2)
    usage = Usage("n", NOW)
    usage.count(1, 1, 0)
    usage.count(2, 1, 0)
    assert usage.merge([Row("m", partition, P, 9, 0) for partition in range(3, 9)]) == []
    assert ([usage.signatures(partition) for partition in (1, 2, 3)], usage.claims.refused) == ([1, 1, 0], 6)
    usage.advance(NOW + DAY_S + PERIOD_S)
    assert usage.merge([Row("m", 3, usage.period, 9, 0)]) == [Growth(3, 9, 0)]


ROWS = st.lists(
    st.builds(
        Row,
        st.sampled_from(["a", "b"]),
        st.integers(1, 2),
        st.integers(P - PERIODS - 2, P + 1),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=30,
)


@given(ROWS, st.randoms(use_true_random=False), st.integers(1, 7))
def test_all_who_have_heard_the_same_know_the_same(rows, chance, page):
    one, two, three = Usage("", NOW), Usage("", NOW), Usage("", NOW)
    one.merge(rows)
    shuffled = [*rows, *rows]
    chance.shuffle(shuffled)
    two.merge(shuffled)
    after, more = 0, True
    while more:
        news = one.news(after, page)
        three.merge(news.rows)
        after, more = news.newest, news.more
    for other in (two, three):
        for partition in (1, 2):
            assert other.signatures(partition) == one.signatures(partition)
            assert other.generations(partition) == one.generations(partition)


@given(st.lists(st.tuples(st.integers(1, 2), st.integers(0, 9), st.integers(0, 40)), max_size=60))
def test_the_sums_are_those_of_the_cells(steps):
    """Against a list of everything that was ever counted."""
    usage, told, now, all_counted = Usage("n", NOW), Usage("", NOW), NOW, []
    cursor = 0
    for partition, signatures, periods in steps:
        now += periods * PERIOD_S + random.Random(now).randrange(PERIOD_S)
        usage.advance(now)
        told.advance(now)
        usage.count(partition, signatures, 0)
        all_counted.append((partition, now // PERIOD_S, signatures))
        news = usage.news(cursor, ALL)
        cursor = news.newest
        told.merge(news.rows)
        for who in (1, 2):
            expected = sum(n for of, period, n in all_counted if of == who and period >= now // PERIOD_S - PERIODS)
            assert usage.signatures(who) == told.signatures(who) == expected


@pytest.mark.parametrize("partition", [1, 2])
def test_a_partition_that_was_never_heard_of_has_used_nothing(partition):
    assert Usage("", NOW).signatures(partition) == Usage("", NOW).generations(partition) == 0
