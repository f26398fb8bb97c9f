"""The report's form is a contract: programs read bench/latest.json."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import report
from bench.rounds import Cell, Sample, Samples
from bench.workloads import QUICK

CONTRACT = {
    *("workload", "size", "tls", "build", "peer"),
    *("cpu_us_per_request", "throughput", "p50_ms", "p99_ms"),
}


def sample(cost: float) -> Sample:
    return {
        "cpu_us_per_request": cost,
        "throughput": cost * 1000,
        "p50_ms": 1.0,
        "p99_ms": 2.0,
        "p99_9_ms": 3.0,
        "peer_cpu_share": 0.5,
        "loader_cpu_share": 0.4,
        "nodes_cpu_share": 0.3,
    }


@pytest.fixture
def samples() -> Samples:
    return {
        Cell("64-sync", False, "redoubt", "python", "c"): [sample(9.0), sample(1.0), sample(5.0)],
        Cell("64-sync", False, "haproxy", "python", "c"): [sample(10.0), sample(10.0)],
        Cell("64-sync", False, "direct", "python", "c"): [sample(0.0), sample(0.0)],
    }


def test_each_row_has_the_fields_of_the_contract_in_their_types(samples: Samples) -> None:
    for row in report.rows(samples, QUICK):
        assert set(row) >= CONTRACT
        types = {name: type(row[name]) for name in ("workload", "size", "tls", "build", "peer")}
        assert types == {"workload": str, "size": int, "tls": bool, "build": str, "peer": str}
        assert all(isinstance(row[name], float) for name in ("throughput", "p50_ms", "p99_ms"))
        assert row["loader"] == "c"


def test_figures_are_medians_of_the_rounds(samples: Samples) -> None:
    row = report.rows(samples, QUICK)[0]
    assert (row["cpu_us_per_request"], row["throughput"], row["rounds"]) == (5, 5000, 3)


def test_no_balancer_has_no_cost(samples: Samples) -> None:
    row = next(row for row in report.rows(samples, QUICK) if row["peer"] == "direct")
    assert row["cpu_us_per_request"] is None


def test_an_open_loop_names_its_rate(samples: Samples) -> None:
    assert "rate" not in report.rows(samples, QUICK)[0]
    assert report.rows(samples, QUICK._replace(rate=500.0))[0]["rate"] == 500


def test_the_file_is_a_list_of_the_rows(samples: Samples, tmp_path: Path) -> None:
    rows = report.rows(samples, QUICK)
    report.write(rows, tmp_path / "latest.json")
    assert json.loads((tmp_path / "latest.json").read_text()) == rows
    assert [path.name for path in tmp_path.iterdir()] == ["latest.json"]


def test_the_table_has_a_line_a_row_and_the_ratio_to_each_peer(samples: Samples) -> None:
    lines = report.table(report.rows(samples, QUICK)).splitlines()
    assert len(lines) == 4
    words: list[list[Any]] = [line.split() for line in lines[1:]]
    assert [line[6] for line in words] == ["1.00", "0.50", "-"]
