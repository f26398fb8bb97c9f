"""Costs are read from what is kept."""

from pathlib import Path

import pytest

from bench import costs, kept

OURS = {"peer": "redoubt", "build": "python", "tls": True}
ROWS = [
    OURS | {"workload": "64-sync", "size": 128, "cpu_us_per_request": 20.0},
    OURS | {"workload": "1000-sync", "size": 128, "cpu_us_per_request": 50.0},
    OURS | {"workload": "64x16", "size": 128, "cpu_us_per_request": 8.0},
    OURS | {"workload": "64-sync", "size": 128, "cpu_us_per_request": 5.0, "build": "compiled"},
    OURS | {"workload": "64-sync", "size": 128, "cpu_us_per_request": 1.0, "peer": "haproxy"},
    OURS | {"study": "handshakes", "cpu_us_per_handshake": 1500.0},
    OURS | {"study": "memory", "idle_bytes": 40_000},
    {"study": "node", "operation": "P-256 signature", "node_per_cpu_s": 10_000, "bare_per_cpu_s": 30_000},
    {"study": "node", "operation": "RSA-2048 signature", "node_per_cpu_s": 2_000, "bare_per_cpu_s": 2_500},
]
SCALE = [{"study": "figure", "mode": "node_bytes", "figure": 80e6}, {"study": "check", "mode": "x", "predicted": 1.0}]


def test_a_request_costs_what_the_most_similar_load_cost() -> None:
    found = costs.of_rows(ROWS, SCALE)
    assert found.proxy_s(10, 1, 128, tls=True) == pytest.approx(20e-6)
    assert found.proxy_s(500, 1, 128, tls=True) == pytest.approx(50e-6)
    assert found.proxy_s(5_000, 1, 128, tls=True) == pytest.approx(50e-6)
    assert found.proxy_s(64, 32, 128, tls=True) == pytest.approx(8e-6)


def test_what_was_not_measured_of_the_compiled_build_is_that_of_plain_python() -> None:
    found = costs.of_rows(ROWS, SCALE, "compiled")
    assert found.proxy_s(64, 1, 128, tls=True) == pytest.approx(5e-6)
    assert found.proxy_s(1_000, 1, 128, tls=True) == pytest.approx(50e-6)


def test_a_cheap_operation_is_the_loops_and_a_dear_one_shared_with_a_session() -> None:
    works = costs.of_rows(ROWS, SCALE).works
    assert works["P-256 signature"] == pytest.approx((100e-6, 0.0))
    assert works["RSA-2048 signature"] == pytest.approx((100e-6, 400e-6))
    assert works["RSA-2048 signature"].most_per_s(2) == pytest.approx(5_000)
    assert works["RSA-2048 signature"].most_per_s(16) == pytest.approx(10_000)


def test_a_request_costs_less_on_a_loop_that_has_many() -> None:
    light, full = costs.busy_cores(10, 50e-6, 150e-6), costs.busy_cores(20_000, 50e-6, 150e-6)
    assert light == pytest.approx(10 * 150e-6, rel=0.01)
    assert full == pytest.approx(1.0)
    assert costs.busy_cores(10_000, 50e-6, 10e-6) == pytest.approx(0.5)


def test_what_was_never_measured_is_said_with_the_command_that_measures_it() -> None:
    found = costs.of_rows(ROWS, SCALE)
    assert found.figure("node_bytes") == 80e6
    with pytest.raises(costs.MissingError, match="--check --record"):
        found.figure("proxy_bytes")
    with pytest.raises(costs.MissingError, match="not measured"):
        found.proxy_s(1, 1, 999, tls=True)
    with pytest.raises(costs.MissingError, match="make bench"):
        costs.of_rows(ROWS[:5], SCALE)


def test_rows_that_are_kept_replace_older_ones_of_the_same_thing(tmp_path: Path) -> None:
    path = tmp_path / "scale.json"
    costs.record([SCALE[0]], path)
    costs.record([SCALE[0] | {"figure": 90e6}], path)
    assert [row["figure"] for row in kept.load(path).rows] == [90e6]


def test_everything_that_the_model_needs_was_measured() -> None:
    found = costs.load()
    assert set(found.works) >= set(costs.CHEAP)
    assert found.figure("key_bytes") > 0
