"""Defaults are those of the design, and nonsense is refused."""

import msgspec
import pytest

from proxy.core.settings import HealthSettings, Limits


def test_defaults_are_those_of_the_design():
    health = HealthSettings()
    assert (health.interval_s, health.fast_interval_s, health.down_interval_s, health.jitter) == (1, 0.25, 2, 0.2)
    assert (health.timeout_s, health.rise, health.fall) == (0.5, 2, 3)
    limits = Limits()
    assert (limits.attempts, limits.no_node_wait_s, limits.shutdown_s) == (3, 0.25, 30)


@pytest.mark.parametrize("table", [{"attempts": 0}, {"max_frame_bytes": 1 << 30}, {"hello_s": 0}, {"unknown": 1}])
def test_a_limit_that_makes_no_sense_is_refused(table):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Limits)
