"""Counting without growing."""

from proxy.core.counters import DURATION_BOUNDS_S, Counters


def test_answers_are_counted_by_operation_and_class():
    counters = Counters()
    counters.answered(0x0201, 0x0000, 0.0004)
    counters.answered(0x0201, 0x0601, 100.0)
    counters.answered(0x0201, 0x0602, DURATION_BOUNDS_S[1])
    assert counters.answers == {(0x0201, 0): 1, (0x0201, 6): 2}
    assert (counters.duration_buckets[0], counters.duration_buckets[1], counters.duration_buckets[-1]) == (1, 1, 1)


def test_unknown_operations_share_one_counter():
    counters = Counters()
    for opcode in range(0x7000, 0x7100):
        counters.answered(opcode, 0x0102, 0.0)
    assert counters.answers == {(0, 1): 256}
