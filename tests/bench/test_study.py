"""What the studies share."""

from bench.study import medians


def test_each_figure_is_the_median_of_what_was_taken() -> None:
    taken = [{"a": 1.0, "b": 5.0}, {"a": 9.0, "b": 5.0}, {"a": 2.0, "b": 6.0}]
    assert medians(taken, ("a", "b")) == {"a": 2.0, "b": 5.0}
