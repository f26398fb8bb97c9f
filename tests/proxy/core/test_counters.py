"""Counting without growing."""

from itertools import pairwise

from hsm_wire.statuses import Status
from proxy.core.counters import DURATION_BOUNDS_S, Counters


def test_answers_are_counted_by_operation_and_class():
    counters = Counters()
    counters.answered(0x0201, 0x0000, 0.00004)
    counters.answered(0x0201, 0x0601, 100.0)
    counters.answered(0x0201, 0x0602, DURATION_BOUNDS_S[1])
    assert counters.answers == {(0x0201, 0): 1, (0x0201, 6): 2}
    assert (counters.duration_buckets[0], counters.duration_buckets[1], counters.duration_buckets[-1]) == (1, 1, 1)


def test_unknown_operations_share_one_counter():
    counters = Counters()
    for opcode in range(0x7000, 0x7100):
        counters.answered(opcode, 0x0102, 0.0)
    assert counters.answers == {(0, 1): 256}


def test_what_is_refused_at_once_makes_no_latency_look_good():
    counters = Counters()
    counters.answered(0x0201, int(Status.OVERLOADED), None)
    assert counters.answers == {(0x0201, 5): 1}
    assert sum(counters.duration_buckets) == 0


def test_what_the_caller_cancelled_is_told_from_failures():
    counters = Counters()
    for status in (Status.CANCELLED, Status.TIMEOUT):
        counters.answered(0x0201, int(status), 0.1)
    assert (counters.answers, counters.cancelled) == ({(0x0201, 6): 2}, 1)


def test_a_time_out_of_a_caller_in_haste_is_told_from_one_of_the_cluster():
    counters = Counters()
    for status, duration_s in ((Status.TIMEOUT, 0.099), (Status.TIMEOUT, 0.1), (Status.UNAVAILABLE, 0.002)):
        counters.answered(0x0201, int(status), duration_s)
    assert (counters.answers, counters.hasty) == ({(0x0201, 6): 3}, 1)


def test_a_quantile_can_be_read_from_100_microseconds_to_10_seconds():
    assert (DURATION_BOUNDS_S[0], DURATION_BOUNDS_S[-1]) == (0.0001, 10.0)
    assert all(upper / lower < 1.61 for lower, upper in pairwise(DURATION_BOUNDS_S))
