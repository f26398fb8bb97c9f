"""The study of scale: a run of it is small here, and every run that is kept is one of the plans."""

import pytest

from bench import costs, kept, scale_study
from bench.scale_study import PLANS, STORMS, Plan, simulate, storm_row
from bench.storm import Storm

SMALL = Plan("small", 0.5, clients=50, proxies=2, nodes=2, seconds=0.1)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> costs.Costs:
    monkeypatch.setattr(scale_study, "SETTLE_S", 0.4)
    return costs.load()


def test_the_same_seed_gives_the_same_and_no_request_is_lost(found: costs.Costs) -> None:
    row = simulate(SMALL, found)
    assert simulate(SMALL, found) == row
    assert row["failed"] == {}
    assert row["requests"] == pytest.approx(row["rate"] * SMALL.seconds, rel=0.2)
    assert row["nodes_busy"] == pytest.approx(0.5, rel=0.2)
    assert row["p50_ms"] < row["p99_ms"] <= row["p99_9_ms"]


def test_when_a_node_is_lost_its_requests_are_answered_by_the_others(found: costs.Costs) -> None:
    row = simulate(SMALL._replace(nodes=3, lost=True), found)
    assert row["failed"] == {}
    assert row["resent"] > 0
    assert row["least_share"] < 0.02


def test_a_worker_has_its_part_of_the_window(found: costs.Costs) -> None:
    assert simulate(SMALL._replace(workers=4), found)["window"] < simulate(SMALL, found)["window"]


def test_a_storm_is_a_row(found: costs.Costs) -> None:
    row = storm_row(Storm("small", 50, 2, down_s=0.5), found)
    assert (row["study"], row["mode"], row["never"]) == ("storm", "small", 0)


def test_every_plan_was_run_and_is_kept() -> None:
    named = {row["mode"] for row in kept.load(costs.SCALE).rows if row["study"] in ("simulation", "storm")}
    assert named == {each.name for each in (*PLANS, *STORMS)}, "run: python -m bench.scale_study --record"
