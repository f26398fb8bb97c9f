"""Limits of one worker of several."""

import pytest

from proxy.core.division import COUNTS, RATES, RETRY_COUNTS, RETRY_RATES, WHOLE, part_of
from proxy.core.settings import Limits, Portion, RetrySettings, Settings


def parts(whole, of):
    return [part_of(whole, Portion(number, of)) for number in range(1, of + 1)]


def test_one_worker_has_what_is_configured():
    whole = Settings()
    (part,) = parts(whole, 1)
    assert part.limits is whole.limits
    assert part.retry is whole.retry


@pytest.mark.parametrize("of", [2, 3, 4, 7])
def test_all_workers_together_have_exactly_what_is_configured(of):
    whole = Settings(Limits(clients=10_001, queue_requests=8_191), RetrySettings(budget_burst=1_025))
    divided = parts(whole, of)
    for table, counts, rates in (("limits", COUNTS, RATES), ("retry", RETRY_COUNTS, RETRY_RATES)):
        for name in counts:
            shares = [getattr(getattr(part, table), name) for part in divided]
            assert sum(shares) == max(of, getattr(getattr(whole, table), name))
            assert max(shares) - min(shares) <= 1
        for name in rates:
            shares = [getattr(getattr(part, table), name) for part in divided]
            assert sum(shares) == pytest.approx(getattr(getattr(whole, table), name))


def test_less_than_one_for_each_is_one_for_each():
    divided = parts(Settings(Limits(handshakes_burst=1, partition_generations=2)), 3)
    assert [part.limits.handshakes_burst for part in divided] == [1, 1, 1]
    assert [part.limits.partition_generations for part in divided] == [1, 1, 1]


def test_limits_of_a_connection_and_times_are_not_divided():
    whole = Settings(Limits(client_in_flight=100, idle_s=5.0), RetrySettings(budget_share=0.4, attempts=2))
    part = part_of(whole, Portion(2, 4))
    assert (part.limits.client_in_flight, part.limits.idle_s) == (100, 5.0)
    assert (part.retry.budget_share, part.retry.attempts) == (0.4, 2)
    assert (part.health, part.ejection, part.balancing) == (whole.health, whole.ejection, whole.balancing)
    assert part.portion == Portion(2, 4)


def test_of_each_limit_it_is_known_whether_it_is_divided():
    times = {name for name in Limits.__struct_fields__ if name.endswith("_s") and not name.endswith("_per_s")}
    assert times | {*COUNTS, *RATES, *WHOLE} == {*Limits.__struct_fields__}
    assert len(times) + len(COUNTS) + len(RATES) + len(WHOLE) == len(Limits.__struct_fields__)
