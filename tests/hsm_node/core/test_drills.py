import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hsm_node.core.drills import (
    FIRST_DRILL_S,
    MAX_FAULTS,
    MAX_TEXT_CHARACTERS,
    DrillRecord,
    DrillResult,
    Fault,
    FaultReason,
    Faults,
    drawn,
    due_at,
    is_whole_due,
)
from hsm_node.core.recovery_settings import RecoverySettings

HOURLY = RecoverySettings()
START = 1_000_000.0


def result(at: float, *faults: Fault, whole: bool = False) -> DrillResult:
    return DrillResult(at=at, seconds=1.0, whole=whole, commanded=False, faults=faults)


WRONG = Fault(FaultReason.KEYS, "a key does not work")


def test_a_node_without_a_past_makes_its_first_drill_soon() -> None:
    assert due_at(DrillRecord(), HOURLY, START, START) == START + FIRST_DRILL_S
    often = RecoverySettings(drill_seconds=2.0)
    assert due_at(DrillRecord(), often, START, START) == START + 2


def test_the_next_drill_comes_an_interval_after_the_last_one_also_after_a_restart() -> None:
    record = DrillRecord(result(START + 100))
    assert due_at(record, HOURLY, START, START + 200) == START + 3700
    assert due_at(DrillRecord(result(START - 600)), HOURLY, START, START) == START + 3000


def test_a_drill_that_was_due_while_the_node_was_down_comes_soon() -> None:
    assert due_at(DrillRecord(result(START - 9000)), HOURLY, START, START) == START + FIRST_DRILL_S


def test_a_last_drill_in_the_future_tells_nothing() -> None:
    assert due_at(DrillRecord(result(START + 9000)), HOURLY, START, START + 10) == START + FIRST_DRILL_S


def test_every_key_is_due_a_day_after_the_last_good_drill_that_used_all() -> None:
    assert is_whole_due(DrillRecord(), HOURLY, START)
    record = DrillRecord().after(result(START, whole=True))
    assert not is_whole_due(record, HOURLY, START + 86_399)
    assert is_whole_due(record, HOURLY, START + 86_400)
    assert is_whole_due(record, HOURLY, START - 1), "the clock was wrong then"


def test_only_a_good_drill_counts_as_the_last_good_one() -> None:
    good = DrillRecord().after(result(1.0, whole=True))
    assert (good.last_good_at, good.last_whole_at) == (1.0, 1.0)
    bad = good.after(result(2.0, WRONG, whole=True))
    assert (bad.last, bad.last_good_at, bad.last_whole_at) == (result(2.0, WRONG, whole=True), 1.0, 1.0)
    some = bad.after(result(3.0))
    assert (some.last_good_at, some.last_whole_at) == (3.0, 1.0)
    assert not bad.last.good
    assert msgspec.json.decode(msgspec.json.encode(bad), type=DrillRecord) == bad


def test_the_first_faults_are_kept_and_one_of_each_reason() -> None:
    faults = Faults()
    for number in range(100):
        faults.add(FaultReason.KEYS, f"key {number} " + 500 * "x")
    faults.add(FaultReason.LAG, "late")
    assert len(faults.found) == MAX_FAULTS + 1
    assert faults.found[0].text.startswith("key 0 ")
    assert len(faults.found[0].text) == MAX_TEXT_CHARACTERS
    assert faults.found[-1] == Fault(FaultReason.LAG, "late")


@given(st.lists(st.sampled_from("abcde"), max_size=60), st.integers(1, 40), st.randoms())
def test_a_sample_has_its_size_and_every_type_and_nothing_twice(
    types: list[str], size: int, chance: random.Random
) -> None:
    keys = [(key_type, (1, bytes([number]))) for number, key_type in enumerate(types)]
    chosen = drawn(keys, size, chance.shuffle)
    by_place = {place: key_type for key_type, place in keys}
    assert {by_place[place] for place in chosen} == set(types)
    assert len(chosen) == min(len(keys), max(size, len(set(types))))


def test_another_order_of_chance_draws_other_keys() -> None:
    keys = [("a", (1, bytes([number]))) for number in range(200)]
    assert drawn(keys, 10, random.Random(1).shuffle) != drawn(keys, 10, random.Random(2).shuffle)
