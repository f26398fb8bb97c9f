"""How much may be sent again: a fifth of the requests and ten a second, saved up to a bound."""

import pytest

from proxy.core.requests.budget import RetryBudget
from proxy.core.settings import RetrySettings, Settings


def spend(budget):
    """Take all there is; return how much it was."""
    taken = 0
    while budget.take():
        taken += 1
    return taken


@pytest.fixture
def empty():
    budget = RetryBudget(Settings(), 100.0)
    spend(budget)
    return budget


def test_a_new_proxy_may_send_again_what_one_lost_node_can_have_in_flight():
    assert spend(RetryBudget(Settings(), 100.0)) == 1_024


def test_nothing_is_taken_from_an_empty_budget(empty):
    empty.fill(0, 100.0)
    assert not empty.take()
    assert 0.0 <= empty.tokens < 1.0


def test_ten_a_second_are_free(empty):
    empty.fill(0, 103.0)
    assert spend(empty) == 30


def test_a_fifth_of_the_requests_may_be_sent_again(empty):
    empty.fill(500, 100.0)
    assert spend(empty) == 100


def test_each_request_is_counted_once_though_the_count_is_told_each_time(empty):
    for requests in (50, 100, 100, 100):
        empty.fill(requests, 100.0)
    assert spend(empty) == 20


def test_what_is_saved_up_is_bounded(empty):
    empty.fill(1_000_000, 10_000.0)
    assert spend(empty) == 1_024


def test_the_budget_goes_by_the_settings_as_they_are_now(empty):
    settings = Settings()
    budget = RetryBudget(settings, 0.0)
    spend(budget)
    settings.retry = RetrySettings(budget_share=0.5, budget_per_s=0.0, budget_burst=3)
    budget.fill(4, 60.0)
    assert spend(budget) == 2
    budget.fill(1_000, 60.0)
    assert spend(budget) == 3
