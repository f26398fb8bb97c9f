"""Defaults are those of the design, and nonsense is refused."""

import msgspec
import pytest

from proxy.core.settings import EjectionSettings, HealthSettings, Limits, Portion, RetrySettings


def test_defaults_are_those_of_the_design():
    health = HealthSettings()
    assert (health.interval_s, health.fast_interval_s, health.down_interval_s, health.jitter) == (1, 0.25, 2, 0.2)
    assert (health.timeout_s, health.rise, health.fall) == (0.5, 2, 3)
    limits = Limits()
    assert (limits.bulk_bytes, limits.no_node_wait_s, limits.shutdown_s) == (16 << 10, 0.25, 30)
    retry = RetrySettings()
    assert (retry.attempts, retry.attempt_s, retry.budget_share, retry.budget_per_s) == (3, 1, 0.2, 10)
    assert retry.poison_s == 60
    assert (health.silence_s, health.blocked_s) == (0.5, 0.5)
    assert (health.deep_interval_s, health.deep_fast_interval_s) == (10, 1)
    assert (health.deep_timeout_s, health.deep_fall, health.slow_start_s, health.slow_start_from) == (2, 2, 10, 0.1)
    ejection = EjectionSettings()
    assert (ejection.consecutive, ejection.share, ejection.minimum_answers, ejection.window_s) == (3, 0.05, 20, 1)
    assert (ejection.base_s, ejection.max_s, ejection.jitter) == (1, 60, 0.5)


@pytest.mark.parametrize("table", [{"clients": 0}, {"max_frame_bytes": 1 << 30}, {"hello_s": 0}, {"unknown": 1}])
def test_a_limit_that_makes_no_sense_is_refused(table):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Limits)


def test_parts_are_the_whole_and_differ_by_one_at_most():
    assert Portion().count(7) == 7
    assert [Portion(number, 3).count(8) for number in (1, 2, 3)] == [3, 3, 2]
    assert [Portion(number, 4).count(2) for number in (1, 2, 3, 4)] == [1, 1, 1, 1]
