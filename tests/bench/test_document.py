"""The page about performance is what is made of the figures that are kept."""

import re

import pytest

from bench import document, kept
from bench.workloads import WORKLOADS

MEASURED = {"cpu_us_per_request": 5.0, "throughput": 1000.0, "p50_ms": 1.0, "p99_ms": 2.0, "p99_9_ms": 3.0}
OURS = {"workload": "64-sync", "size": 128, "tls": False, "peer": "redoubt", "build": "python", "day": "2026-11-30"}


def data(*rows: dict[str, object]) -> kept.Kept:
    return kept.Kept({"processor": "one"}, list(rows))


def test_the_page_and_its_picture_are_made_of_what_is_kept(tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text(document.PAGE.read_text())
    document.write(kept.load(), page, tmp_path / "picture.svg")
    assert page.read_text() == document.PAGE.read_text(), "make it with: python -m bench.document"
    assert (tmp_path / "picture.svg").read_text() == document.PICTURE.read_text()


def test_every_table_has_its_place_on_the_page() -> None:
    assert set(re.findall(r"<!-- made: (\w+) -->", document.PAGE.read_text())) == set(document.BLOCKS)


def test_what_people_wrote_stays() -> None:
    text = "before\n<!-- made: machine -->\nold\n<!-- end -->\nafter\n"
    found = document.fill(text, data(OURS | MEASURED))
    assert found.startswith("before\n")
    assert found.endswith("after\n")
    assert "old" not in found
    assert "| processor | one |" in found


def test_a_peer_that_was_not_there_is_absent_and_not_missing() -> None:
    cells = document.matrix(data(OURS | MEASURED))
    assert "| 64-sync | HAProxy | absent |" in cells
    assert "| 64-sync | Redoubt | 5.00 | 1.00 |" in cells


def test_a_target_is_met_missed_or_not_measured() -> None:
    rows = [OURS | MEASURED, OURS | MEASURED | {"peer": "haproxy", "cpu_us_per_request": 10.0}]
    words = document.targets(data(*rows, OURS | MEASURED | {"peer": "nginx"}))
    assert "| 64-sync, plain | HAProxy | 0.75 | 0.50 | met |" in words
    assert "| 64-sync, plain | nginx | 0.80 | 1.00 | missed |" in words
    assert "| 64-sync, plain | twemproxy | 0.90 | absent | not measured |" in words


def test_what_the_balancer_adds_is_told_beside_what_it_takes() -> None:
    row = OURS | MEASURED | {"study": "latency", "rate": 500.0}
    del row["workload"]
    direct = row | {"peer": "direct", "p50_ms": 0.25, "p99_ms": 0.5}
    assert "| plain | Redoubt | 500 | 1.000 | 2.000 | 3.000 | 0.750 | 1.500 |" in document.latency(data(row, direct))


@pytest.mark.parametrize("name", list(document.BLOCKS))
def test_without_figures_every_table_is_empty(name: str) -> None:
    document.BLOCKS[name](kept.Kept({}, []))


def test_workloads_stand_in_their_order() -> None:
    rows = [OURS | MEASURED | {"workload": workload.name} for workload in reversed(WORKLOADS)]
    cells = document.matrix(data(*rows))
    places = [cells.index(f"| {workload.name} | Redoubt") for workload in WORKLOADS]
    assert places == sorted(places)
