import pytest

from hsm_node.core.drills import DrillRecord, DrillResult, Fault, FaultReason
from hsm_node.core.recovery_problems import CopyState, in_words, problems_of
from hsm_node.core.recovery_settings import RecoverySettings

HOURLY = RecoverySettings()
WHOLE = CopyState(0.0, "")
START = 1_000_000.0


def record(*faults: Fault, good_at: float = START) -> DrillRecord:
    last = DrillResult(at=START, seconds=1.0, whole=True, commanded=False, faults=faults)
    return DrillRecord(last, good_at)


def test_nothing_is_wrong_after_a_good_drill_with_a_whole_copy() -> None:
    assert not problems_of(record(), WHOLE, HOURLY, START, START + 3600)


def test_a_node_that_has_just_started_has_its_time() -> None:
    assert not problems_of(DrillRecord(), WHOLE, HOURLY, START, START + 7200)
    (problem,) = problems_of(DrillRecord(), WHOLE, HOURLY, START, START + 7201)
    assert problem.what == "no drill was good for 2 hours"
    assert "dr drill" in problem.advice


def test_two_intervals_without_a_good_drill_are_too_many() -> None:
    assert not problems_of(record(), WHOLE, HOURLY, 0.0, START + 7200)
    assert problems_of(record(), WHOLE, HOURLY, 0.0, START + 7201)


@pytest.mark.parametrize("reason", FaultReason)
def test_each_fault_of_the_last_drill_is_named_with_what_to_do(reason: FaultReason) -> None:
    (problem,) = problems_of(record(Fault(reason, "it is so")), WHOLE, HOURLY, START, START)
    assert problem.what == "the last drill: it is so"
    assert problem.advice


def test_a_copy_that_lacks_something_for_too_long_or_nobody_knows_is_named() -> None:
    assert not problems_of(record(), CopyState(5.0, ""), HOURLY, START, START)
    assert not problems_of(record(), CopyState(None, ""), HOURLY, START, START)
    (problem,) = problems_of(record(), CopyState(600.0, ""), HOURLY, START, START)
    assert problem.what == "this site has lacked changes for 10 minutes; 5 s are allowed"
    (problem,) = problems_of(record(), CopyState(600.0, "no leader"), HOURLY, START, START)
    assert problem.what == "nobody knows what this site lacks: no leader"


def test_times_are_told_in_the_unit_that_fits() -> None:
    assert [in_words(s) for s in (0.4, 119, 120, 7200, 172_800)] == ["0 s", "119 s", "2 minutes", "2 hours", "2 days"]
