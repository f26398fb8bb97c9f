"""Percentiles against sorted values, within the promised precision."""

from hypothesis import given
from hypothesis import strategies as st

from hsmctl.bench.histogram import MAX_VALUE_US, SUB_BUCKET_BITS, Histogram


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def test_an_empty_histogram_says_zero() -> None:
    assert Histogram().percentile_us(99) == 0


def test_small_values_are_exact() -> None:
    histogram = filled(list(range(1, 101)))
    assert [histogram.percentile_us(p) for p in (50, 90, 99, 100)] == [50, 90, 99, 100]


def test_99_9_percent_of_a_thousand_is_the_last_but_one() -> None:
    assert filled([1] * 999 + [200]).percentile_us(99.9) == 1


def test_values_out_of_range_count_as_the_bounds() -> None:
    histogram = filled([-5, MAX_VALUE_US * 2])
    assert (histogram.percentile_us(50), histogram.max_us) == (0, MAX_VALUE_US)


@given(st.lists(st.integers(0, MAX_VALUE_US), min_size=1), st.sampled_from([50.0, 90.0, 99.0, 99.9, 100.0]))
def test_a_percentile_is_never_below_the_true_one_and_at_most_one_part_in_128_above(
    values: list[int], percent: float
) -> None:
    rank = max(1, -(-round(percent * 1000) * len(values) // 100_000))
    true = sorted(values)[rank - 1]
    assert true <= filled(values).percentile_us(percent) <= true + (true >> SUB_BUCKET_BITS)
