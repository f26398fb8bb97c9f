"""The histogram in C, against sorted values."""

import json
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.native import Tools

POINTS = {"p50_ms": 5000, "p90_ms": 9000, "p99_ms": 9900, "p99_9_ms": 9990}
LONGEST_NS = 2**42 - 1


def percentiles(tools: Tools, values: list[int]) -> dict[str, int]:
    text = " ".join(map(str, values))
    done = subprocess.run([*tools.load, "--percentiles"], input=text, capture_output=True, text=True, check=True)
    return {name: round(value * 1e6) for name, value in json.loads(done.stdout).items()}


def test_no_values_give_zeros(c_tools: Tools) -> None:
    assert set(percentiles(c_tools, []).values()) == {0}


def test_small_values_are_exact(c_tools: Tools) -> None:
    found = percentiles(c_tools, list(range(1, 201)))
    assert found == {"p50_ms": 100, "p90_ms": 180, "p99_ms": 198, "p99_9_ms": 200, "max_ms": 200}


def test_99_9_percent_of_a_thousand_is_the_last_but_one(c_tools: Tools) -> None:
    assert percentiles(c_tools, [1] * 999 + [200])["p99_9_ms"] == 1


def test_values_out_of_range_count_as_the_longest(c_tools: Tools) -> None:
    assert percentiles(c_tools, [2**60])["max_ms"] == LONGEST_NS


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, LONGEST_NS) | st.integers(0, 100_000_000), min_size=1))
def test_a_percentile_is_never_below_the_true_one_and_less_than_one_part_in_256_above(
    c_tools: Tools, values: list[int]
) -> None:
    found = percentiles(c_tools, values)
    for name, of_ten_thousand in POINTS.items():
        true = sorted(values)[max(1, -(-of_ten_thousand * len(values) // 10_000)) - 1]
        assert true <= found[name] <= true + (true >> 8), name
    assert found["max_ms"] == max(values)
