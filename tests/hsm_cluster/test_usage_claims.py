"""Whom to believe about use."""

from hsm_cluster.usage_claims import MAX_GENERATIONS, MAX_SIGNATURES, PERIOD_S, Claims, can_be


def test_names_are_those_of_the_configuration_once_there_is_one():
    claims = Claims()
    assert claims.are_known("z", 9)
    claims.configure({"n"}, {1}, 0.0, 7)
    assert [claims.are_known(*pair) for pair in (("n", 1), ("z", 1), ("n", 2))] == [True, False, False]


def test_periods_count_that_began_at_the_moment_or_later_and_the_next_one_always():
    claims = Claims()
    for since_s, first in ((0.0, 0), (PERIOD_S, 1), (PERIOD_S + 1.0, 2), (PERIOD_S * 99.0, 8)):
        claims.configure({"n"}, {1}, since_s, 7)
        assert claims.since == first


def test_a_node_can_do_so_much_in_a_period_and_no_more():
    assert can_be(MAX_SIGNATURES, MAX_GENERATIONS)
    assert not can_be(MAX_SIGNATURES + 1, 0)
    assert not can_be(0, MAX_GENERATIONS + 1)
