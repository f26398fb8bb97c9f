"""When to send again."""

from random import Random

from hsm_client import retry
from hsm_wire.statuses import Status


def test_waits_grow_to_the_cap_and_no_further():
    rng = Random(1)
    assert all(0 <= retry.wait_s(1, 0.02, 1.0, rng) <= 0.02 for _ in range(100))
    assert 0.9 < max(retry.wait_s(1000, 0.02, 1.0, rng) for _ in range(1000)) <= 1.0


def test_the_status_table_decides_what_is_sent_again_but_a_timeout_is_the_callers():
    assert all(retry.may_resend(s) for s in (Status.OVERLOADED, Status.UNAVAILABLE, Status.GOING_AWAY))
    assert not any(retry.may_resend(s) for s in (Status.OK, Status.POISON, Status.CANCELLED, Status.TIMEOUT))


def test_the_clusters_wish_is_the_least_wait():
    assert retry.resend_wait_s(1, 500, Random(1)) >= 0.5


def test_waits_are_spread_over_the_whole_time_so_that_thousands_do_not_come_back_together():
    rng = Random(1)
    waits = [retry.wait_s(5, 0.05, 2.0, rng) for _ in range(1000)]
    tenths = [sum(0.08 * n <= wait < 0.08 * (n + 1) for wait in waits) for n in range(10)]
    assert min(tenths) > 60
