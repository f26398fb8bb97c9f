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
